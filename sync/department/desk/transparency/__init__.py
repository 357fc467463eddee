"""Transparency: what the public may know of the department's ALPR, computed only from the log."""
