"""The custody fixtures, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlite_utils
from custody_twins import door, home, ledger, reopen, slot, time

from storage import schema

__all__ = ["door", "home", "ledger", "reopen", "slot", "time"]


@pytest.fixture
def database() -> Iterator[sqlite_utils.Database]:
    """A ledger's tables, in memory."""
    made = sqlite_utils.Database(memory=True)
    schema.migrate(made, 0)
    yield made
    made.close()
