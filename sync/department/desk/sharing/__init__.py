"""Sharing with other agencies (463.6): the rules and the calls."""
