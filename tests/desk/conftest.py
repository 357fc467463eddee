"""A founded department for each test, and sessions of its people."""

from desk_fixtures import department, founded, seat, tokens

__all__ = ["department", "founded", "seat", "tokens"]
