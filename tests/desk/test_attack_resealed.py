"""Root at the desk seals content of its own under a unit's name: it finds nothing, and opens nothing.

An epoch key is sealed to a public day key, so anybody can make one. What the key service takes in for a log
is only what that log's own key signed, so the text and the place of a row are always those of one record.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import GROUND, Department
from desk_units import Pass, read_of

from storage import sealing
from storage.codec import to_bytes
from storage.day_keys import seal_to_day
from storage.errors import SealError
from storage.leaf import Leaf, Mark, log_id_of
from storage.record_base import KeyClass
from storage.times import DAY_US
from sync.department.content.key_guard import Row
from sync.department.content.key_service import Arrived, Kept, LocalKeyService, SourceLog
from sync.department.content.read_store import StoreReads
from sync.department.content.reads import parse_name
from sync.department.desk.inquiry.forms import Answer, RunForm
from sync.department.policy.refusals import DeskRefusal

PLATE = "8XYZ123"
VICTIM = 0  # a read of another plate


class Forger:
    """Root with a text of its choice for the place of another unit's read."""

    def __init__(self, department: Department) -> None:
        self.department = department
        self.keys = LocalKeyService(department.home.keys, department.clock)
        self.day = department.clock.us // DAY_US
        self.log_id, self.number = parse_name(department.reads[VICTIM])
        reads = department.front.reads
        assert isinstance(reads, StoreReads)
        ((self.stored_on, self.victim),) = reads._located([department.reads[VICTIM]], ("text", "place"))
        self.own = Ed25519PrivateKey.generate()

    def forged(self, log_id: bytes, key: Ed25519PrivateKey) -> tuple[bytes, sealing.Sealed]:
        """A text sealed for the victim's number in a log, and a leaf that names it, signed by a key."""
        text = to_bytes(read_of(Pass(plate=PLATE, at_us=self.department.clock.us)).text_part())
        sealed = sealing.seal(self.epoch_key, log_id, self.number, sealing.fresh("text", text))
        leaf = Leaf(
            log_id=log_id,
            kind="read",
            sequence=self.number,
            epoch=1,
            key_class=KeyClass.READ,
            elements={"text": Mark(sealed.commitment, sealed.digest)},
        )
        return leaf.sign(key), sealed

    epoch_key = sealing.new_key()

    def reseal(self, log_id: bytes, public: bytes, leaf: bytes, stored: bytes, beside: int = -1) -> Kept:
        day_key = self.keys.issue_day_keys(self.day, 1)[0]
        epochs = {1: (day_key.key_id, seal_to_day(self.epoch_key, day_key, log_id, 1))}
        source = SourceLog(public=public, beside=beside)
        return self.keys.open_and_reseal(self.day, source, epochs, [Arrived(leaf, "text", stored)])[0]


@pytest.fixture
def forger(department: Department) -> Iterator[Forger]:
    """Root beside the department's keys."""
    made = Forger(department)
    yield made
    made.keys.close()


def test_a_leaf_of_another_key_brings_no_text_under_the_units_name(forger: Forger) -> None:
    leaf, sealed = forger.forged(forger.log_id, forger.own)
    for public in (forger.victim.public, forger.own.public_key().public_bytes_raw()):
        kept = forger.reseal(forger.log_id, public, leaf, sealed.stored)
        assert (kept.stored, kept.token) == (b"", None)
        assert kept.refused


def test_the_units_own_leaf_takes_no_other_text(forger: Forger) -> None:
    _, sealed = forger.forged(forger.log_id, forger.own)
    kept = forger.reseal(forger.log_id, forger.victim.public, forger.victim.leaf, sealed.stored)
    assert (kept.stored, kept.token) == (b"", None)
    assert kept.refused


@pytest.mark.parametrize("beside", [-1, 0])
def test_a_text_of_roots_own_unit_finds_no_place_of_another(forger: Forger, beside: int) -> None:
    """What root's own unit signed is taken in, under that unit's name: with the victim's place it matches
    nothing, and the victim's text stays unfound."""
    own = log_id_of(forger.own.public_key())
    leaf, sealed = forger.forged(own, forger.own)
    kept = forger.reseal(own, forger.own.public_key().public_bytes_raw(), leaf, sealed.stored, beside)
    assert kept.refused is None
    department = forger.department
    query = department.plate(PLATE)
    form = RunForm(query=query, ground=GROUND)
    answer = department.call("inquiry/run", department.logon("comm1"), form)
    assert isinstance(answer, Answer)
    cover, door = department.desk.covered(answer.access), department.front.door
    place = forger.victim.row.elements["place"]
    row = Row(forger.number, {"text": (kept.stored, sealed.commitment), "place": place})
    for log_id in (forger.log_id, own):
        with pytest.raises(SealError, match="does not open under its key"):
            door.match(cover, query, forger.stored_on, log_id, [row])
    with pytest.raises(DeskRefusal) as refused:
        door.open(cover, forger.stored_on, forger.log_id, [forger.victim.row])
    assert refused.value.code == "other-read"
