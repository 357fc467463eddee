"""The unit's firmware: the only room that wires the others together.

Promises: frames become signed reads; a slow stage drops frames and counts them; nothing that was announced
is lost when the unit stops.
"""
