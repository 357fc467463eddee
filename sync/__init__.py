"""The uplink and the department end that receives the reads.

Promises: nothing lost and nothing twice, over any number of cut connections;
a signature proves the sender, not the connection.
"""
