"""The people whom a package's cover sheet names, from the log. No I/O.

The desk enters them, and `verify` compares the entry with the log.
"""

from __future__ import annotations

from sync.department.content.package_words import approval_in
from sync.department.desk.state import DeskState
from sync.department.journal.entries import EntryOf
from sync.department.journal.inquiry_entries import (
    AGREED_EXPORT,
    AGREED_HOLD,
    AGREED_REQUEST,
    DELIVERED,
    EXPORTED,
    PLACED,
    Access,
    SheetPerson,
)
from sync.department.journal.malformed import form_of


def of_export(book: DeskState, hold: int, user: str, approval: int) -> tuple[SheetPerson, ...]:
    """Who placed a hold and who exports it, with the second person of each.

    `approval`: the proposal that allowed the export, or -1. Raises KeyError if the hold or the decision does
    not exist.
    """
    placed = book.holds.placed[hold]
    parts = [(PLACED, placed.stamp.user), *_agreed(book, AGREED_HOLD, approval_in(placed.signed))]
    return _named(book, [*parts, (EXPORTED, user), *_agreed(book, AGREED_EXPORT, approval)])


def of_delivery(book: DeskState, request: int, user: str) -> tuple[SheetPerson, ...]:
    """Who delivers, and who approved the request. Raises KeyError for a request that no person decided."""
    return _named(book, [(DELIVERED, user), (AGREED_REQUEST, book.shares.decided[request].stamp.user)])


def again(book: DeskState, entry: EntryOf[Access]) -> tuple[SheetPerson, ...]:
    """The people of an access's entry, from the log before it.

    Raises KeyError, and TypeError for a hold that is not a number.
    """
    note, user = entry.note, entry.stamp.user
    if note.action == "delivery":
        return of_delivery(book, note.request, user)
    return of_export(book, form_of(entry.signed)["hold"], user, note.approval)


def _agreed(book: DeskState, part: str, approval: int) -> list[tuple[str, str]]:
    return [(part, book.changes.decided[approval].stamp.user)] if approval >= 0 else []


def _named(book: DeskState, parts: list[tuple[str, str]]) -> tuple[SheetPerson, ...]:
    accounts = book.roster.accounts
    return tuple(
        SheetPerson(part=part, user=user, name=" ".join(accounts[user].name.split())) for part, user in parts
    )
