"""On bad lines, some of which carry an image only in pieces and some slow or lossy, all arrives once."""

from __future__ import annotations

import pytest
from flipped import flip
from receiver_twins import Joined
from sync_twins import DepartmentProcess, FaultProxy, LoopbackLink, Unit, checked, converse

from storage import leaf as leaves
from sync import messages
from sync.department.server.server import Department
from sync.errors import LinkError, RefusedByDepartmentError
from sync.parcel_size import ParcelSize
from sync.parcels import frame_parcel
from sync.pieces import PieceHeader, PieceHeld
from sync.uplink import Conversation


@pytest.mark.thorough
def test_a_half_dead_line_gets_an_image_through_by_pieces(server: DepartmentProcess, enrolled: Unit) -> None:
    enrolled.attempt()
    proxy = FaultProxy(server.home.settings.unit_port)
    proxy.cuts_left = 10_000
    proxy.cut_after = (20_000, 30_000)  # bytes per connection; TLS and the hello take a third
    enrolled.through(proxy.port)
    (number,) = enrolled.add(1, size=60_000)  # a patch of 60 kB and an overview of 120 kB
    runner = enrolled.runner()
    outcomes: list[str] = []
    while not outcomes or (outcomes[-1] != "done" and len(outcomes) < 120):
        outcomes.append(runner.attempt().outcome)
    proxy.close()
    assert outcomes[-1] == "done"
    assert set(outcomes) == {"link", "done"}
    assert enrolled.ledger.store.book.is_received(number)
    assert checked(server.home).problems == []


def test_a_slow_line_that_loses_packets_carries_everything(server: DepartmentProcess, enrolled: Unit) -> None:
    proxy = FaultProxy(server.home.settings.unit_port)
    proxy.delay_s, proxy.loss, proxy.retransmit_s = 0.02, 0.1, 0.1
    enrolled.through(proxy.port)
    numbers = enrolled.add(5, size=10_000)
    assert enrolled.attempt().outcome == "done"
    proxy.close()
    assert all(enrolled.ledger.store.book.is_received(number) for number in numbers)


class Short(LoopbackLink):
    """A line that breaks at the first message of over `most` bytes, and after `lives` pieces."""

    def __init__(self, department: Department, most: int, lives: int) -> None:
        super().__init__(department)
        self.most, self.lives, self.arrived = most, lives, 0

    def post(self, name: str, pieces: object) -> bytes:
        size = sum(map(len, pieces))  # type: ignore[call-overload]
        if name == "piece" and size > 1000:
            self.lives -= 1
        if size > self.most or self.lives < 0:
            raise LinkError("cut")
        answer = super().post(name, pieces)  # type: ignore[arg-type]
        if name == "piece":
            self.arrived += size
        return answer


def speak(unit: Joined, department: Department, size: ParcelSize, link: LoopbackLink) -> None:
    key = department.home.log_key().public_key()
    Conversation(unit.outbox, link, key, size, lambda: unit.clock.now().us).run()


@pytest.mark.one_python
def test_pieces_resume_where_they_were_cut_even_after_a_restart_of_the_server(
    department: Department, unit: Joined
) -> None:
    unit.add(1, size=50_000)
    size, total, home = ParcelSize(8192), 0, department.home
    attempts = 0
    while attempts < 40:
        attempts += 1
        opened = Department(home)
        link = Short(opened, 12_000, 2)
        try:
            speak(unit, opened, size, link)
        except LinkError:
            size.size = 8192
        else:
            break
        finally:
            total += link.arrived
            opened.close()
    assert 3 < attempts < 40
    assert total < 200_000  # 150 kB of images and headers: nothing is sent repeatedly
    assert checked(home).problems == []
    assert list((home.path / "partial").iterdir()) == []


def image_of(unit: Joined, number: int) -> tuple[bytes, leaves.Leaf]:
    (data,) = unit.outbox.leaves(number, 1)
    return unit.outbox.stored(number, "overview"), leaves.unchecked(data)


def piece(unit: Joined, number: int, stored: bytes, start: int, end: int, **changes: object) -> bytes:
    key = unit.outbox.key_for_department(image_of(unit, number)[1].epoch)
    assert key is not None
    sealed = messages.SealedKey(epoch=key.epoch, day_key=key.day_key, sealed=key.sealed)
    facts: dict[str, object] = {
        "log_id": unit.outbox.log_id,
        "keys": (sealed,),
        "sequence": number,
        "name": "overview",
        "total": len(stored),
        "offset": start,
        "length": end - start,
    }
    header = messages.seal_message(PieceHeader(**(facts | changes)), unit.outbox.sign)  # type: ignore[arg-type]
    return b"".join(frame_parcel(header, [stored[start:end]]))


@pytest.fixture
def held_leaf(department: Department, unit: Joined) -> int:
    """A record whose leaf has been received, but not its elements."""
    (number,) = unit.add(1, size=20_000)

    def cut(name: str, data: bytes) -> bytes:
        if name == "parcel":
            raise LinkError("cut")
        return data

    link = LoopbackLink(department)
    link.before = cut
    with pytest.raises(LinkError):
        converse(unit, department, link)
    return number


def answer(department: Department, data: bytes) -> PieceHeld:
    key = department.home.log_key().public_key()
    return messages.open_message(PieceHeld, department.receiver.answer("piece", data), key)


def test_a_piece_sent_twice_is_kept_once_and_a_gap_is_not_kept(
    department: Department, unit: Joined, held_leaf: int
) -> None:
    stored, _ = image_of(unit, held_leaf)
    first = piece(unit, held_leaf, stored, 0, 9000)
    assert answer(department, first).held == 9000
    assert answer(department, first).held == 9000
    assert answer(department, piece(unit, held_leaf, stored, 12_000, 20_000)).held == 9000
    assert answer(department, piece(unit, held_leaf, stored, 4000, 15_000)).held == 15_000
    last = answer(department, piece(unit, held_leaf, stored, 15_000, len(stored)))
    assert (last.done, last.bad) == (True, ())
    assert converse(unit, department).done
    assert checked(department.home).problems == []


def test_pieces_that_make_another_element_are_bad_and_sent_again(
    department: Department, unit: Joined, held_leaf: int
) -> None:
    stored, _ = image_of(unit, held_leaf)
    wrong = flip(stored, 0)
    last = answer(department, piece(unit, held_leaf, wrong, 0, len(stored)))
    assert [(one.sequence, one.final) for one in last.bad] == [(held_leaf, False)]
    assert converse(unit, department).bad == 0
    assert checked(department.home).problems == []


def test_a_log_has_one_element_in_pieces_at_a_time(
    department: Department, unit: Joined, held_leaf: int
) -> None:
    stored, _ = image_of(unit, held_leaf)
    for total in (len(stored), len(stored) + 1, len(stored) + 2):
        answer(department, piece(unit, held_leaf, stored, 0, 5000, total=total))
    assert len(list((department.home.path / "partial").iterdir())) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"sequence": 1 << 40}, "gap", id="a record that is not held"),
        pytest.param({"name": "../up"}, "malformed", id="a name that is a path"),
        pytest.param({"length": 4}, "malformed", id="a length that is not the body's"),
        pytest.param({"total": 10}, "malformed", id="more than the whole"),
        pytest.param(
            {"total": messages.MAX_ELEMENT_BYTES + 1}, "malformed", id="more than an element may have"
        ),
    ],
)
def test_a_piece_that_is_off_is_refused_and_leaves_nothing(
    department: Department, unit: Joined, held_leaf: int, changes: dict[str, object], code: str
) -> None:
    stored, _ = image_of(unit, held_leaf)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("piece", piece(unit, held_leaf, stored, 0, 5000, **changes))
    assert refused.value.code == code
    assert list((department.home.path / "partial").iterdir()) == []
