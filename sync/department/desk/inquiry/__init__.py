"""Inquiries (463.2, 463.5): the rules and the calls."""
