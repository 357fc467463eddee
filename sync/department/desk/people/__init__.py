"""People, credentials and training (463.3, 463.4, 463.9): the rules and the calls."""
