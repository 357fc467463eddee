"""The uplink and the department end that receives the reads.

Promises: nothing lost and nothing twice, over any number of cut connections;
whoever speaks is proven by signature, not by connection.
"""
