"""What is kept of entries that later ones name by number: findings' people, cases' accesses, searches.
No I/O.

Without this, root at the department's server could write a finding that blames another person for what its
entries say about its judge, file any access under a case's number that a person signed, or view a picture of
another plate than the person searched for.
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
MOST_SEARCHES = 20_000  # the newest, with a mark of their plates
MARK = 2  # bytes: thousands of plates share a mark, so that it names none of them
BLOCK, WIDE = 512, 4  # entries kept together, and bytes for each, so that a long log takes little space


def plate_mark(plate: str) -> bytes:
    """The mark of a search's plate. A whole digest would reveal it, since all plates can be tried."""
    return plate_digest(plate)[:MARK]


def number_digest(number: str) -> bytes:
    """The digest of a case, action or CAD number."""
    return hashlib.sha256(NUMBER + number.encode()).digest()[:16]


@dataclass(slots=True)
class NamedEntries:
    """What later entries may name.

    `groups`: the groups of people whom entries concern, each once, with the number by which `people` names it
    (`BLOCK` entries in each value); `findings`: the open ones, and whom each concerns; `unfiled`: accesses
    with the digests of their numbers; `plates`: the newest searches with the marks of their plates.
    """

    groups: dict[str, int] = field(default_factory=dict)
    people: dict[int, bytes] = field(default_factory=dict)
    findings: dict[int, tuple[str, ...]] = field(default_factory=dict)
    unfiled: dict[int, bytes] = field(default_factory=dict)
    plates: dict[int, bytes] = field(default_factory=dict)

    def keep(self, sequence: int, people: tuple[str, ...], number: bytes) -> None:
        """Keep an entry's people and, for an access, the digest of its number."""
        group = self.groups.setdefault("\n".join(people), len(self.groups) + 1)
        block, at = divmod(sequence, BLOCK)
        kept = self.people.get(block, bytes(BLOCK * WIDE))
        self.people[block] = kept[: at * WIDE] + group.to_bytes(WIDE, "big") + kept[(at + 1) * WIDE :]
        if number:
            self.unfiled[sequence] = number

    def keep_search(self, sequence: int, mark: bytes) -> None:
        """Keep the mark of a judged search's plate; unsigned ones would push others out."""
        self.plates[sequence] = mark
        while len(self.plates) > MOST_SEARCHES:
            del self.plates[next(iter(self.plates))]

    def people_of(self, sequences: Iterable[int]) -> Iterator[list[str]]:
        """The people of each entry; empty for one that was not judged."""
        groups = ["", *self.groups]
        for block, at in (divmod(one, BLOCK) for one in sequences):
            kept = self.people.get(block, b"")
            yield groups[int.from_bytes(kept[at * WIDE : (at + 1) * WIDE], "big")].split("\n")

    def take(self, entry: Entry, *, judges: bool) -> None:
        """Keep an entry. `judges`: raises UnsignedError for a finding about entries that do not exist yet."""
        note = entry.note
        number = number_digest(note.ground.number) if isinstance(note, Access) else b""
        self.keep(entry.sequence, tuple(sorted(people_in(entry))), number)
        if isinstance(note, FindingOpened):
            if judges and any(one >= entry.sequence for one in note.accesses):
                raise UnsignedError("it names entries that did not exist yet")
            people = concerned(note.about, self.people_of(note.accesses))
            self.findings[entry.sequence] = tuple(sorted(people))

    def demand_other(self, note: FindingClosed, user: str) -> None:
        """Raises UnsignedError if a finding is closed by a person whom its entries concern."""
        if user in self.findings.get(note.finding, ()):
            raise UnsignedError("it closes a finding whose entries are that person's")

    def demand_of_search(self, note: Access, search: object) -> None:
        """Raises UnsignedError unless a view of a picture names it and the plate of its search.

        `search`: its entry, or None.
        """
        if note.elements != images_of(note.reads[0]):
            raise UnsignedError("it describes another picture")
        if type(search) is int and self.plates.get(search, b"") not in {b"", plate_mark(note.plate)}:
            raise UnsignedError("its plate is not that of its search")

    def demand_of_case(self, note: Filed, lines: Set[tuple[object, str]]) -> None:
        """Raises UnsignedError unless a case's number files only its own accesses that were not filed yet.

        `lines`: see `made_by.filed_by`.
        """
        cases = {(number_digest(one), rms) for one, rms in lines if isinstance(one, str)}
        for access, rms in note.numbers():
            if (access, rms) not in lines and (self.unfiled.get(access, b""), rms) not in cases:
                raise UnsignedError("it files an access that is not of that case, or was filed before")

    def forget(self, note: object) -> None:
        """Forget what an entry closes or files."""
        if isinstance(note, FindingClosed):
            self.drop(note.finding)
        elif isinstance(note, Filed):
            self.drop(-1, *(access for access, _ in note.numbers()))

    def drop(self, finding: int, *accesses: int) -> None:
        """Forget a closed finding, if not -1, and filed accesses."""
        self.findings.pop(finding, None)
        for access in accesses:
            self.unfiled.pop(access, None)
