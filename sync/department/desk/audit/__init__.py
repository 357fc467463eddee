"""Audits (463.5): the rules, the detectors and the calls."""
