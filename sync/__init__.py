"""The uplink of a unit, and the department that receives its reads.

Promises: nothing is lost and nothing is taken twice, over any number of cut connections; the sender is proved
by a signature, not by the connection.
"""
