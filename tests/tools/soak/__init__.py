"""Hours of replay with injected trouble, and an account of it.

Promises: the parts are those of `reader run`; only the camera, the clock, the free space and the line to the
department are made to fail; whatever broke a promise is named, and the exit status is 1.
"""
