"""Maintenance grants (463.3): the rules, the signer and the calls."""
