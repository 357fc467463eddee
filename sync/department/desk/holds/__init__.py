"""Holds and evidence (463.8): the rules and the calls."""
