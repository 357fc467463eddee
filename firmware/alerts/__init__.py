"""Alerts on the unit (463.7): reads matched with hot lists, raised once, shown, checked, answered for."""
