"""Hot lists: entries, the layouts in which sources write them, and the signed documents in which they travel.

Promises: a bad line never spoils a list, a forbidden entry never reaches a unit, a delta leads to exactly the
list that was signed or to none.
"""
