"""What is kept of the entries that later ones name by number: whom a finding is about, which accesses a case
has, what a picture's search asked for. No I/O.

Root at the department's server can write a finding that says of another person what its entries say of its
judge, a filing of any access under the number of a case that a person signed, and a look at a picture of
another plate than the one that its person searched for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

from sync.department.journal.concerned import concerned, people_in
from sync.department.journal.entries import Entry, Filed, FindingClosed, FindingOpened
from sync.department.journal.inquiry_entries import Access, images_of
from sync.department.journal.second_hand_facts import plate_digest
from sync.department.journal.unsigned import UnsignedError

NUMBER = b"alpr-department/case-number/v1\x00"
MOST_SEARCHES = 20_000  # the newest, of whose plates a mark is kept
MARK = 2  # bytes: thousands of plates share a mark, so that what is kept names none of them
BLOCK, WIDE = 512, 4  # entries kept together, and bytes for each: a long log is kept in little


def plate_mark(plate: str) -> bytes:
    """What is kept of the plate of a search. A whole digest would name it: all plates can be tried."""
    return plate_digest(plate)[:MARK]


def number_digest(number: str) -> bytes:
    """What is kept of a case, action or CAD number."""
    return hashlib.sha256(NUMBER + number.encode()).digest()[:16]


@dataclass(slots=True)
class NamedEntries:
    """`groups`: who entries concern, each group once, with the number by which `people` names it (`BLOCK`
    entries in each value); `findings`: those that are open, and whom each concerns; `unfiled`: accesses, each
    with the digest of its number; `plates`: the newest searches, with the mark of the plate of each."""

    groups: dict[str, int] = field(default_factory=dict)
    people: dict[int, bytes] = field(default_factory=dict)
    findings: dict[int, tuple[str, ...]] = field(default_factory=dict)
    unfiled: dict[int, bytes] = field(default_factory=dict)
    plates: dict[int, bytes] = field(default_factory=dict)

    def keep(self, sequence: int, people: tuple[str, ...], number: bytes) -> None:
        """Keep an entry: its people; of an access the digest of its number."""
        group = self.groups.setdefault("\n".join(people), len(self.groups) + 1)
        block, at = divmod(sequence, BLOCK)
        kept = self.people.get(block, bytes(BLOCK * WIDE))
        self.people[block] = kept[: at * WIDE] + group.to_bytes(WIDE, "big") + kept[(at + 1) * WIDE :]
        if number:
            self.unfiled[sequence] = number

    def keep_search(self, sequence: int, mark: bytes) -> None:
        """Keep the mark of a search's plate, once the search was judged: unsigned ones would push it out."""
        self.plates[sequence] = mark
        while len(self.plates) > MOST_SEARCHES:
            del self.plates[next(iter(self.plates))]

    def people_of(self, sequences: Iterable[int]) -> Iterator[list[str]]:
        """The people of each entry; none of one that was not judged."""
        groups = ["", *self.groups]
        for block, at in (divmod(one, BLOCK) for one in sequences):
            kept = self.people.get(block, b"")
            yield groups[int.from_bytes(kept[at * WIDE : (at + 1) * WIDE], "big")].split("\n")

    def take(self, entry: Entry, *, judges: bool) -> None:
        """Keep an entry. `judges`: raises UnsignedError for a finding about what was not there yet."""
        note = entry.note
        number = number_digest(note.ground.number) if isinstance(note, Access) else b""
        self.keep(entry.sequence, tuple(sorted(people_in(entry))), number)
        if isinstance(note, FindingOpened):
            if judges and any(one >= entry.sequence for one in note.accesses):
                raise UnsignedError("it names entries that did not exist yet")
            people = concerned(note.about, self.people_of(note.accesses))
            self.findings[entry.sequence] = tuple(sorted(people))

    def demand_other(self, note: FindingClosed, user: str) -> None:
        """A finding is closed by no one whom its entries concern. Raises UnsignedError."""
        if user in self.findings.get(note.finding, ()):
            raise UnsignedError("it closes a finding whose entries are that person's")

    def demand_of_search(self, note: Access, search: object) -> None:
        """A look at a picture names that picture, and the plate of the search that found it. `search`: its
        entry, or None. Raises UnsignedError."""
        if note.elements != images_of(note.reads[0]):
            raise UnsignedError("it says of another picture what it shows")
        if type(search) is int and self.plates.get(search, b"") not in {b"", plate_mark(note.plate)}:
            raise UnsignedError("it names another plate than its search")

    def demand_of_case(self, note: Filed, lines: Set[tuple[object, str]]) -> None:
        """A case's number files accesses under it that were not filed yet. `lines`: see `made_by.filed_by`.
        Raises UnsignedError."""
        cases = {(number_digest(one), rms) for one, rms in lines if isinstance(one, str)}
        for access, rms in note.numbers():
            if (access, rms) not in lines and (self.unfiled.get(access, b""), rms) not in cases:
                raise UnsignedError("it files an access that is not of that case, or was filed before")

    def forget(self, note: object) -> None:
        """What is closed or filed is named no more."""
        if isinstance(note, FindingClosed):
            self.drop(note.finding)
        elif isinstance(note, Filed):
            self.drop(-1, *(access for access, _ in note.numbers()))

    def drop(self, finding: int, *accesses: int) -> None:
        """A finding is closed, or -1; accesses are filed."""
        self.findings.pop(finding, None)
        for access in accesses:
            self.unfiled.pop(access, None)
