"""The custody fixtures, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from custody_twins import door, home, ledger, reopen, slot, time

from storage import schema
from storage.database import Database

__all__ = ["door", "home", "ledger", "reopen", "slot", "time"]


@pytest.fixture
def database() -> Iterator[Database]:
    """The tables of a ledger, in memory."""
    made = Database.in_memory()
    schema.migrate(made, 0)
    yield made
    made.close()
