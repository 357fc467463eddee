"""Root at the desk seals forged content beside a unit's, and neither finds nor opens anything by it.

An epoch key is sealed to a public day key, so anyone can make one. The key service accepts only what a log's
own key signed in a leaf, and opens it only with that leaf. So even a thief of a unit's log key, who signs
another record with the same number, cannot make a search open the genuine one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import GROUND, Department
from desk_units import Pass, UnitTwin, read_of

from storage import sealing
from storage.codec import to_bytes
from storage.day_keys import seal_to_day
from storage.errors import SealError
from storage.leaf import Leaf, Mark, log_id_of, unchecked
from storage.record_base import KeyClass
from storage.times import DAY_US, HOUR_US
from sync.department.content.key_door import Cover, Row
from sync.department.content.key_service import Kept, LocalKeyService
from sync.department.content.reads import StoredRead
from sync.department.content.search_tokens import StoredElement
from sync.department.desk.inquiry.forms import Answer, RunForm
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import DeskRefusal

PLATE = "8XYZ123"  # what an honest person searched for
EPOCH = 999


class Forger:
    """Root with a forged record beside a read of a unit, whose log key it may have."""

    def __init__(self, department: Department) -> None:
        self.department = department
        self.keys = LocalKeyService(department.home.keys, department.clock)
        self.day = department.clock.us // DAY_US
        self.unit_key, self.own = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self._epoch_key = sealing.new_key()
        unit = UnitTwin(department.home, self.unit_key, "car-9")
        seen = Pass(plate="7NEW001", at_us=department.clock.us - HOUR_US)
        (name,) = unit.deliver([seen], received_us=department.clock.us)
        unit.close()
        self.victim = self.stored(name)

    def close(self) -> None:
        self.keys.close()

    def stored(self, name: str) -> StoredRead:
        """A read, as root takes it from the store."""
        located = self.department.front.reads._located  # type: ignore[attr-defined]
        ((_, found),) = located([name], ("text", "place", "patch", "overview"))
        assert isinstance(found, StoredRead)
        return found

    def leaf(
        self, log_id: bytes, key: Ed25519PrivateKey, more: dict[str, Mark]
    ) -> tuple[bytes, dict[str, bytes]]:
        """(a record of the victim's number with the searched plate, its text and place sealed)."""
        read = read_of(Pass(plate=PLATE, at_us=self.department.clock.us - HOUR_US))
        number = self.victim.row.sequence
        sealed = {
            name: sealing.seal(self._epoch_key, log_id, number, sealing.fresh(name, to_bytes(part)))
            for name, part in (("text", read.text_part()), ("place", read.place_part()))
        }
        marks = {name: Mark(one.commitment, one.digest) for name, one in sealed.items()}
        leaf = Leaf(
            log_id=log_id,
            kind="read",
            sequence=number,
            epoch=EPOCH,
            key_class=KeyClass.READ,
            elements=marks | more,
        )
        return leaf.sign(key), {name: one.stored for name, one in sealed.items()}

    def reseal(self, public: bytes, leaf: bytes, stored: dict[str, bytes]) -> list[Kept]:
        """Let the key service take in elements with this leaf. Returns what it stores."""
        day_key = self.keys.issue_day_keys(self.day, 1)[0]
        sealed = seal_to_day(self._epoch_key, day_key, unchecked(leaf).log_id, EPOCH)
        arrived = [StoredElement(leaf, name, data) for name, data in stored.items()]
        return self.keys.open_and_reseal(self.day, public, {EPOCH: (day_key.key_id, sealed)}, arrived)

    def searched(self) -> tuple[Cover, Query]:
        """Make an honest search for the plate. Root keeps the proof that covers it."""
        query = self.department.plate(PLATE)
        form = RunForm(query=query, ground=GROUND)
        answer = self.department.call("inquiry/run", self.department.logon("comm1"), form)
        assert isinstance(answer, Answer)
        return self.department.desk.covered(answer.access), query


@pytest.fixture
def forger(department: Department) -> Iterator[Forger]:
    """Root, with access to the department's key service."""
    made = Forger(department)
    yield made
    made.close()


def refused(kept: list[Kept]) -> bool:
    return all((one.stored, one.token) == (b"", None) and one.refused for one in kept)


def test_a_leaf_of_another_key_brings_nothing_under_the_units_name(forger: Forger) -> None:
    leaf, stored = forger.leaf(forger.victim.log_id, forger.own, {})
    for public in (forger.victim.public, forger.own.public_key().public_bytes_raw()):
        assert refused(forger.reseal(public, leaf, stored))


def test_the_units_own_leaf_takes_no_other_content(forger: Forger) -> None:
    _, stored = forger.leaf(forger.victim.log_id, forger.own, {})
    assert refused(forger.reseal(forger.victim.public, forger.victim.leaf, stored))


def test_a_text_of_roots_own_unit_finds_no_place_of_another(forger: Forger) -> None:
    own = log_id_of(forger.own.public_key())
    leaf, stored = forger.leaf(own, forger.own, {})
    text, _ = forger.reseal(forger.own.public_key().public_bytes_raw(), leaf, stored)
    assert text.refused is None
    cover, query = forger.searched()
    door, victim = forger.department.front.door, forger.victim
    mixed = {"text": text.stored, "place": victim.row.elements["place"]}
    for log_id, of in ((own, leaf), (victim.log_id, victim.leaf)):
        with pytest.raises(SealError, match="does not open under its key"):
            door.match(cover, query, forger.day, log_id, [Row.of(of, mixed)])
    with pytest.raises(DeskRefusal) as no:
        door.match(cover, query, forger.day, victim.log_id, [Row.of(leaf, mixed)])
    assert no.value.code == "other-read"


def test_another_record_by_the_units_own_key_opens_nothing_of_the_true_one(forger: Forger) -> None:
    """Root has a stolen unit's log key: its forged record is found, and the genuine one stays sealed."""
    door, victim = forger.department.front.door, forger.victim
    true = unchecked(victim.leaf).elements
    leaf, stored = forger.leaf(
        victim.log_id, forger.unit_key, {name: true[name] for name in ("patch", "overview")}
    )
    kept = forger.reseal(victim.public, leaf, stored)
    assert [one.refused for one in kept] == [None, None]
    cover, query = forger.searched()
    elements = {name: one.stored for name, one in zip(stored, kept, strict=True)}
    assert len(door.match(cover, query, forger.day, victim.log_id, [Row.of(leaf, elements)])) == 1
    read = {name: victim.row.elements[name] for name in ("text", "place")}
    with pytest.raises(DeskRefusal) as no:
        door.open(cover, forger.day, victim.log_id, [Row.of(victim.leaf, read)])
    assert no.value.code == "other-read"
    with pytest.raises(SealError, match="does not open under its key"):
        door.open(cover, forger.day, victim.log_id, [Row.of(leaf, read)])
    pictures = [
        one
        for name in ("patch", "overview")
        for one in Row.of(leaf, {name: victim.row.elements[name]}).wanted((name,))
    ]
    assert None not in forger.keys.check_stored(forger.day, victim.log_id, pictures)
    true_ones = [replace(one, leaf=victim.leaf) for one in pictures]
    assert forger.keys.check_stored(forger.day, victim.log_id, true_ones) == [None, None]


def test_what_an_earlier_version_sealed_still_opens(forger: Forger) -> None:
    """It was bound only to the log and the number."""
    victim, keys = forger.victim, forger.keys
    (text,) = victim.row.wanted(("text",))
    (opened,) = keys.open_stored("test", forger.day, victim.log_id, [text])
    store_key = keys._store_key(forger.day, make=False)
    older = sealing.seal(store_key, victim.log_id, victim.row.sequence, opened).stored
    assert keys.open_stored("test", forger.day, victim.log_id, [replace(text, stored=older)]) == [opened]
    with pytest.raises(SealError, match="does not open under its key"):
        keys.open_stored("test", forger.day, bytes(32), [replace(text, stored=older)])
