"""Alerts at the desk (463.7): what each came to, and the calls that take one further."""
