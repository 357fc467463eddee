"""Alerts at the desk (463.7): their states, and the calls that change them."""
