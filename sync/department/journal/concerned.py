"""Who may not judge a finding: its subject, and the people of the entries that it names. No I/O.

The desk assigns and closes findings by this; the key service and `verify` check the log by it
(`named_entries.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sync.department.journal.entries import AccountSet, CredentialSet, Entry
from sync.department.journal.inquiry_entries import Access


def people_in(entry: Entry) -> frozenset[str]:
    """The person who made an entry, and those whose account, credential or request it names."""
    people = {entry.stamp.user}
    if isinstance(entry.note, AccountSet | CredentialSet):
        people.add(entry.note.user)
    if isinstance(entry.note, Access):
        people.add(entry.note.on_behalf_of)
    return frozenset(people)


def concerned(about: str, people: Iterable[Collection[str]]) -> set[str]:
    """The people who may not judge a finding. `people`: those of each entry that it names."""
    return {about}.union(*people)
