"""Transparency: what the public may know of the department's ALPR, computed from the log alone."""
