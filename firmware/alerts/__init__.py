"""Alerts on the unit (463.7): reads are matched with hot lists; a hit is raised once, shown and decided."""
