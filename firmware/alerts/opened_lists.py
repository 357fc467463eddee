"""Opens a home's hot lists with its unit's membership."""

from __future__ import annotations

from pathlib import Path

from storage.ledger import Ledger
from sync.errors import NotEnrolledError
from sync.hot_lists.held import HeldLists
from sync.membership import Member, SyncFolder


def member_of(folder: SyncFolder) -> Member | None:
    """The unit's membership; None if it has no department."""
    try:
        return folder.member()
    except NotEnrolledError:
        return None


def open_lists(home: Path, ledger: Ledger, folder: SyncFolder) -> HeldLists:
    """Open the lists of a home."""
    return HeldLists(
        home,
        folder.inbox,
        ledger.hot_list_key(),
        lambda: member_of(folder),
        lambda: dict(ledger.store.book.files),
    )
