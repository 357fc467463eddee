"""A founded department for each test, and sessions of its people."""

from desk_fixtures import department, founded, tokens

__all__ = ["department", "founded", "tokens"]
