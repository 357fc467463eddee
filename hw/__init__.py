"""Hardware: each part has a real driver and a twin behind one small Protocol.

Promises: drivers import late and name the cure when a part or library is missing;
a twin passes the same contract tests as its driver.
"""
