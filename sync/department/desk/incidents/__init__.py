"""Incidents of units' logs: the calls."""
