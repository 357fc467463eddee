"""Who judges no finding: whom it is about, and the people of the entries that it names. No I/O.

The desk assigns and closes by this, and `verify` holds it against the log: root at the department's server
can write a finding that says of another person what its entries say of its judge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sync.department.journal.entries import (
    BY_OWN_HAND,
    AccountSet,
    CredentialSet,
    Entry,
    FindingClosed,
    FindingOpened,
)
from sync.department.journal.inquiry_entries import Access


def people_in(entry: Entry) -> frozenset[str]:
    """Who made an entry, and whose account, credential or request it names."""
    people = {entry.stamp.user}
    if isinstance(entry.note, AccountSet | CredentialSet):
        people.add(entry.note.user)
    if isinstance(entry.note, Access):
        people.add(entry.note.on_behalf_of)
    return frozenset(people)


def concerned(about: str, people: Iterable[Collection[str]]) -> set[str]:
    """Who cannot judge a finding. `people`: of each entry that it names."""
    return {about}.union(*people)


class JudgedFindings:
    """Entries in their order, and who judged a finding that concerns them."""

    def __init__(self) -> None:
        self._opened: dict[int, FindingOpened] = {}
        self._people: dict[int, frozenset[str]] = {}
        self._groups: dict[frozenset[str], frozenset[str]] = {}  # each once: many are the same

    def judge(self, entry: Entry, form: int) -> str:
        """Take in an entry; what is wrong with it, or empty. `form`: the log's."""
        people, note = people_in(entry), entry.note
        self._people[entry.sequence] = self._groups.setdefault(people, people)
        if isinstance(note, FindingOpened):
            self._opened[entry.sequence] = note
        elif isinstance(note, FindingClosed) and form >= BY_OWN_HAND:
            opened = self._opened.get(note.finding)
            if opened is not None and entry.stamp.user in self._concerned(opened):
                return "it closes a finding whose entries are that person's"
        return ""

    def _concerned(self, finding: FindingOpened) -> set[str]:
        named = (self._people.get(number, frozenset()) for number in finding.accesses)
        return concerned(finding.about, named)
