"""Changes that need a second person (463.4): the rules and the calls."""
