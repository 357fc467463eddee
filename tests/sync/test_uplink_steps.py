"""Each step of a conversation, over a log and a department in memory: what is asked, sent and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs
from waiting import PATIENCE_S

from firmware.health.health_message import health_message
from firmware.health.report import HealthWatch
from hw.clock import SetClock
from hw.vitals import ScriptedBoard
from storage import envelope
from storage import leaf as leaf_format
from storage.day_keys import EpochKeyForDay
from storage.errors import EnvelopeError, ForkedLogError, KeyLostError, LedgerError, StorageError
from storage.record_base import KeyClass
from sync import messages
from sync.errors import BatchRefusedError, LinkError, RefusedByDepartmentError
from sync.health import HealthHeld, HealthMessage
from sync.pieces import PieceHeader, PieceHeld
from sync.uplink import Conversation, ParcelSize, SyncProgress

KB, MB = 1 << 10, 1 << 20
UNIT, OFFICE = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
LOG_ID = leaf_format.log_id_of(UNIT.public_key())


def a_leaf(
    number: int, kind: str = "read", key_class: KeyClass = KeyClass.READ, epoch: int = 1,
    names: Sequence[str] = ("text",), log_id: bytes = LOG_ID,
) -> bytes:  # fmt: skip
    """A leaf by itself; no one but the department checks its signature."""
    marks = {name: leaf_format.Mark(bytes(32), bytes(32)) for name in names}
    made = leaf_format.Leaf(
        log_id=log_id, kind=kind, sequence=number, epoch=epoch, key_class=key_class, elements=marks
    )
    return envelope.sign(made.payload(), UNIT, context=leaf_format.CONTEXT)


@dataclass
class Log:
    """A unit's log in memory, as the uplink sees it; `done` holds what the uplink did to it."""

    rows: list[bytes] = field(default_factory=list)
    content: dict[tuple[int, str], bytes | StorageError] = field(default_factory=dict)
    lost_keys: set[int] = field(default_factory=set)
    hits: list[int] = field(default_factory=list)
    anchored: int = 0
    received: int = 0
    sealed: Callable[[int, int], bool] = lambda _first, _end: True
    versions: dict[str, int] = field(default_factory=dict)
    unwanted: set[str] = field(default_factory=set)
    fails: StorageError | None = None  # when a co-signature or a document is taken
    done: list[Any] = field(default_factory=list)
    log_id: bytes = LOG_ID

    def reads(self, count: int, size: int = 10, **changes: Any) -> Log:
        """Append so many records, each with one element of `size` bytes."""
        for _ in range(count):
            number = len(self.rows)
            self.rows.append(a_leaf(number, **changes))
            for name in changes.get("names", ("text",)):
                self.content[number, name] = bytes(size)
        return self

    def size(self) -> int:
        return len(self.rows)

    def head(self) -> str:
        return f"head of {len(self.rows)}"

    def leaves(self, first: int, count: int) -> list[bytes]:
        return self.rows[first : first + count]

    def consistency(self, first: int, second: int) -> list[bytes]:
        return [first.to_bytes(32, "big"), second.to_bytes(32, "big")]

    def stored(self, sequence: int, name: str) -> bytes:
        found = self.content[sequence, name]
        if isinstance(found, StorageError):
            raise found
        return found

    def key_for_department(self, epoch: int) -> EpochKeyForDay | None:
        self.done.append(("key", epoch))
        if epoch in self.lost_keys:
            return None
        return EpochKeyForDay(epoch=epoch, day_key=bytes(32), sealed=bytes(113))

    def sign(self, body: bytes, context: bytes) -> bytes:
        return envelope.sign(body, UNIT, context=context)

    def take_cosigned(self, note: str) -> None:
        self.done.append(("cosigned", note))
        if self.fails:
            raise self.fails

    def take_receipt(self, message: bytes) -> None:
        ranges = messages.open_message(messages.Receipt, message, OFFICE.public_key()).ranges
        self.done.append(("receipt", ranges))

    def take_document(self, name: str, message: bytes) -> None:
        if self.fails:
            raise self.fails
        self.done.append(("document", name, message))

    def document_version(self, name: str) -> int:
        return self.versions.get(name, 0)

    def wants_document(self, name: str) -> bool:
        return name not in self.unwanted

    def note_incident(self, what: str, detail: str) -> None:
        self.done.append(("incident", what, detail))

    def hits_from(self, first: int) -> list[int]:
        return [one for one in self.hits if one >= first]

    def content_between(self, first: int, end: int) -> bool:
        self.done.append(("content", first, end))
        return self.sealed(first, end)

    def received_to(self) -> int:
        return self.received

    def anchored_size(self) -> int:
        return self.anchored


KINDS: dict[str, type[messages.Message]] = {
    "hello": messages.Hello, "leaves": messages.LeafBatch, "parcel": messages.ParcelHeader,
    "alert": messages.ParcelHeader, "piece": PieceHeader, "receipt": messages.ReceiptWanted,
    "document": messages.DocumentWanted, "health": HealthMessage,
}  # fmt: skip
Answer = Callable[[Any], messages.Message | bytes]


class Office:
    """A department in memory that holds `state`; `asked` has every message as it came."""

    depth, sent_bytes = 1, 0

    def __init__(self, *, size: int = 0, complete_to: int = 0, **state: Any) -> None:
        self.state = messages.State(
            log_id=LOG_ID, nonce=bytes(16), at_us=1, size=size, complete_to=complete_to, certificate_days=9,
            **{"cosigned": None, "again": (), "documents": ()} | state,
        )  # fmt: skip
        self.asked: list[tuple[str, Any]] = []
        self.bodies: list[tuple[str, bytes]] = []
        self.bad: tuple[messages.Bad, ...] = ()
        self.instead: dict[str, Answer] = {}
        self.ranges: tuple[tuple[int, int], ...] = ()
        self.document = b"a document"

    def close(self) -> None:
        return

    def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
        self.sent_bytes += sum(map(len, pieces))
        if name == "challenge":
            self.asked.append((name, None))
            return bytes(16)
        data = pieces[1] if name in {"parcel", "alert", "piece"} else b"".join(pieces)
        message = messages.open_message(KINDS[name], data, UNIT.public_key())
        self.bodies += [(name, b"".join(pieces[2:]))] if name in {"parcel", "alert"} else []
        self.asked.append((name, message))
        given = self.instead.get(name, getattr(self, name))(message)
        return given if isinstance(given, bytes) else messages.seal_message(given, OFFICE)

    def hello(self, asked: messages.Hello) -> messages.Message:
        return replace(self.state, nonce=asked.nonce)

    def leaves(self, asked: messages.LeafBatch) -> messages.Message:
        return messages.LeavesHeld(log_id=LOG_ID, size=asked.first + len(asked.leaves), cosigned=None)

    def parcel(self, asked: messages.ParcelHeader) -> messages.Message:
        names = {(one.sequence, one.name) for one in asked.items}
        bad = tuple(one for one in self.bad if (one.sequence, one.name) in names)
        return messages.ParcelHeld(log_id=LOG_ID, complete_to=0, bad=bad)

    alert = parcel

    def piece(self, asked: PieceHeader) -> messages.Message:
        held = asked.offset + asked.length
        return PieceHeld(log_id=LOG_ID, held=held, done=held == asked.total, bad=())

    def receipt(self, asked: messages.ReceiptWanted) -> messages.Message:
        return messages.Receipt(
            department="d", log_id=LOG_ID, ranges=self.ranges, size=1 << 20, root=bytes(32), at_us=1, note=""
        )

    def document_part(self, asked: messages.DocumentWanted, most: int = 4) -> messages.Message:
        data = self.document[asked.offset : asked.offset + most]
        return messages.DocumentPart(
            log_id=LOG_ID, name=asked.name, document_version=asked.document_version,
            total=len(self.document), offset=asked.offset, data=data,
        )  # fmt: skip

    def health(self, asked: HealthMessage) -> messages.Message:
        return HealthHeld(log_id=LOG_ID, at_us=asked.at_us)

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]

    def sent(self, name: str) -> list[Any]:
        return [message for one, message in self.asked if one == name]

    def records(self, name: str = "parcel") -> list[list[int]]:
        """The records of each parcel."""
        return [[item.sequence for item in one.items] for one in self.sent(name)]


def talk(log: Log, office: Office, size: ParcelSize | None = None, **options: Any) -> SyncProgress:
    office.instead.setdefault("document", office.document_part)
    return conversation(log, office, size).run(**options)


def conversation(log: Log, office: Office, size: ParcelSize | None = None, **options: Any) -> Conversation:
    return Conversation(log, office, OFFICE.public_key(), size or ParcelSize(), lambda: 77, **options)


def times(count: int) -> Callable[[], bool]:
    """`may_continue` that agrees so often."""
    left = [count]

    def may_continue() -> bool:
        left[0] -= 1
        return left[0] >= 0

    return may_continue


# --- the whole ------------------------------------------------------------------------------------------


def test_a_conversation_has_its_order_and_is_done_when_nothing_is_left() -> None:
    log, office = Log(hits=[0]).reads(2), Office()
    log.rows[0] = a_leaf(0, "alert", KeyClass.OPEN, names=("entry",))
    log.content[0, "entry"] = b"x"
    progress = talk(log, office)
    assert office.names() == ["challenge", "hello", "alert", "leaves", "parcel", "receipt"]
    assert (progress.leaves, progress.elements, progress.alerts, progress.done) == (2, 3, 1, True)
    assert office.bodies == [("alert", b"x"), ("parcel", b"x" + bytes(10))]
    assert progress.sent_bytes == office.sent_bytes > 0


def test_before_it_begins_nothing_is_done() -> None:
    assert astuple(SyncProgress()) == (0, 0, 0, 0, 0, 0, (), (), 0, False)


def test_alerts_alone_leave_everything_else_for_later() -> None:
    log, office = Log(hits=[0]).reads(1), Office()
    progress = talk(log, office, alerts_only=True)
    assert office.names() == ["challenge", "hello", "alert"]  # the hit too, however small the backlog
    assert (progress.alerts, progress.done) == (1, False)


def test_a_unit_that_may_not_continue_sends_no_record_and_is_not_done() -> None:
    document = messages.DocumentRef(name="policy", version=2)
    log, office = Log().reads(2), Office(size=2, documents=(document,))
    assert not talk(log, office, may_continue=lambda: False).done
    assert office.names() == ["challenge", "hello", "receipt"]


@pytest.mark.parametrize(
    ("error", "size"),
    [(LinkError("cut"), 256 * KB), (RefusedByDepartmentError("no", code="revoked"), MB)],
    ids=["a cut", "a refusal"],
)
def test_a_cut_alone_makes_the_parcels_smaller_and_what_was_sent_counts(error: Exception, size: int) -> None:
    def fail(_asked: object) -> messages.Message:
        raise error

    office, parcel_size = Office(), ParcelSize()
    office.instead["leaves"] = fail
    made = conversation(Log().reads(1), office, parcel_size)
    with pytest.raises(type(error)):
        made.run()
    assert parcel_size.size == size
    assert made.progress.sent_bytes == office.sent_bytes > 0
    assert not made.progress.done


@pytest.mark.parametrize(("held", "records"), [(2, [[0, 1]]), (9, [[0, 1, 2]])])
def test_of_a_refused_log_the_content_of_what_is_held_there_is_delivered(
    held: int, records: list[list[int]]
) -> None:
    log, office = Log().reads(3), Office(size=held)
    progress = conversation(log, office).deliver()
    assert office.records() == records
    assert office.names() == ["challenge", "hello", "parcel", "receipt"]
    assert progress.sent_bytes == office.sent_bytes > 0


@pytest.mark.parametrize("reports", [0, 1])
def test_a_unit_that_knows_how_it_is_says_so_ahead_of_its_backlog(reports: int) -> None:
    watch = HealthWatch(board=ScriptedBoard(), now=SetClock(1).now, watching=False)
    report = health_message(watch.report(), LOG_ID)
    office = Office()
    conversation(Log().reads(1), office, health=lambda: report if reports else None).run()
    assert office.sent("health") == [report] * reports
    assert office.names()[2] == ("health" if reports else "leaves")


# --- hello ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("anchored", "proven"), [(0, False), (1, True), (3, True), (4, False)])
def test_a_hello_proves_its_head_from_the_last_size_the_department_signed(
    anchored: int, proven: bool
) -> None:
    log, office = Log(anchored=anchored).reads(3), Office()
    talk(log, office)
    (hello,) = office.sent("hello")
    assert hello.proof == (tuple(log.consistency(anchored, 3)) if proven else ())
    assert (hello.held, hello.checkpoint, hello.at_us) == (anchored, "head of 3", 77)
    assert hello.software == "alpr-reader"


@pytest.mark.parametrize(("note", "size", "taken"), [("note", 2, True), ("note", 1, False), (None, 2, False)])
def test_a_co_signature_is_taken_where_it_is_newer(note: str | None, size: int, taken: bool) -> None:
    log, office = Log(anchored=1).reads(2), Office(size=size, cosigned=note)
    talk(log, office)
    assert (("cosigned", note) in log.done) is taken


def test_a_department_that_signed_another_past_is_shown_ours() -> None:
    log, office = Log(fails=ForkedLogError("another past")).reads(3), Office(size=2, cosigned="note")
    with pytest.raises(BatchRefusedError, match="another past") as refused:
        talk(log, office)
    assert (refused.value.code, refused.value.held) == ("fork", 2)
    assert [(one.first, one.leaves) for one in office.sent("leaves")] == [(2, (log.rows[2],))]


# --- leaves ---------------------------------------------------------------------------------------------


def test_leaves_go_in_batches_each_with_the_way_to_the_head() -> None:
    log, office = Log(rows=[a_leaf(0, "incident", KeyClass.AUDIT)] * 2051), Office(size=2, complete_to=2)
    progress = talk(log, office)
    asked = office.sent("leaves")
    assert [(one.first, len(one.leaves)) for one in asked] == [(2, 1024), (1026, 1024), (2050, 1)]
    assert [one.proof for one in asked] == [
        tuple(log.consistency(1026, 2051)), tuple(log.consistency(2050, 2051)), ()
    ]  # fmt: skip
    assert (progress.leaves, {one.checkpoint for one in asked}) == (2049, {"head of 2051"})


def test_a_batch_of_leaves_has_half_of_what_its_message_may_have() -> None:
    half = messages.MAX_LEAVES_BYTES // 2
    log = Log(rows=[bytes(64 * KB - 8)] * 40)
    assert len(conversation(log, Office(), ParcelSize(8 * MB))._cut_leaves(0, 40)) == half // (64 * KB)


@pytest.mark.parametrize(("more", "batches"), [(0, [0, 2]), (1, [0])])
def test_a_department_that_holds_more_leaves_than_were_sent_gets_no_more(
    more: int, batches: list[int]
) -> None:
    log, office = Log().reads(3), Office()
    office.instead["leaves"] = lambda asked: messages.LeavesHeld(
        log_id=LOG_ID, size=asked.first + len(asked.leaves) + more, cosigned="note" if more else None
    )
    made = conversation(log, office)
    made._cut_leaves = lambda first, count: log.rows[first : first + min(2, count)]  # type: ignore[method-assign]
    progress = made.run()
    assert [one.first for one in office.sent("leaves")] == batches
    assert (progress.leaves, progress.cosigned_size) == (3, 3 * more)
    assert [one for one in log.done if one[0] == "cosigned"] == [("cosigned", "note")] * more


# --- elements -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("complete_to", "again", "sent"),
    [
        (0, (), [[0, 1, 2, 3]]), (3, (), [[3]]), (4, (), []),
        (2, (1, 0), [[0, 1], [2, 3]]), (2, (1, 2, 3), [[1], [2, 3]]), (4, (3, 4, 9), [[3]]),
    ],
)  # fmt: skip
def test_content_goes_again_where_it_is_wanted_again_and_from_where_it_lacks(
    complete_to: int, again: tuple[int, ...], sent: list[list[int]]
) -> None:
    log, office = Log(received=2).reads(4), Office(size=4, complete_to=complete_to, again=again)
    assert talk(log, office).elements == sum(map(len, sent))
    assert office.records() == sent
    (wanted,) = office.sent("receipt")
    assert wanted.first == min([2, *(one for one in again if one < complete_to)])


@pytest.mark.parametrize(
    ("size", "each", "sent"),
    [
        (8 * KB, 4 * KB, [[0, 1], [2, 3], [4]]), (8 * KB - 1, 4 * KB, [[0], [1], [2], [3], [4]]),
        (MB, 4 * KB, [[0, 1, 2, 3, 4]]), (MB, MB + 1, [[0], [1], [2], [3], [4]]),
    ],
)  # fmt: skip
def test_a_parcel_is_filled_up_to_its_size(size: int, each: int, sent: list[list[int]]) -> None:
    made = conversation(Log().reads(5, size=each), Office(), ParcelSize(size))._parcels(iter(range(5)))
    assert [([one.sequence for one in parcel.items], parcel.size) for parcel in made] == [
        (numbers, each * len(numbers)) for numbers in sent
    ]


def test_a_parcel_has_no_more_items_than_its_header_may_name() -> None:
    names = [f"n{chr(97 + at)}" for at in range(16)]
    log = Log(rows=[a_leaf(0, names=names)] * 513)
    log.content = dict.fromkeys(((0, name) for name in names), b"")
    parcels_made = list(conversation(log, Office())._parcels(iter(range(513))))
    assert [len(one.items) for one in parcels_made] == [messages.MAX_ITEMS, 16]


@pytest.mark.parametrize(
    ("size", "length", "pieces"),
    [
        (8 * KB, 8 * KB, []), (8 * KB, 8 * KB + 1, [(0, 0), (0, 8 * KB), (8 * KB, 1)]),
        (MB - 1, MB, [(0, 0), (0, MB - 1), (MB - 1, 1)]), (MB, MB + 1, []),
    ],
)  # fmt: skip
def test_what_is_more_than_a_bad_line_bears_goes_in_pieces(
    size: int, length: int, pieces: list[tuple[int, int]]
) -> None:
    log, office = Log().reads(1, size=length).reads(1), Office(size=2)
    progress = talk(log, office, ParcelSize(size))
    assert [(one.offset, one.length) for one in office.sent("piece")] == pieces
    assert office.records() == ([[1]] if pieces else [[0], [1]])
    assert (progress.elements, progress.bad) == (2, 0)
    assert [key.epoch for key in (office.sent("piece") or office.sent("parcel"))[0].keys] == [1]


def test_a_piece_waits_for_the_parcel_before_it() -> None:
    """The parcel's answer lets the piece be twice as long."""
    log, office = Log().reads(1).reads(1, size=40 * KB), Office(size=2)
    talk(log, office, ParcelSize(8 * KB))
    assert office.records() == [[0]]
    assert [one.length for one in office.sent("piece")] == [0, 16 * KB, 24 * KB]


@pytest.mark.parametrize(
    ("held", "good"), [(-1, False), (0, False), (1, True), (4 * KB, True), (4 * KB + 1, False)]
)
def test_a_department_that_held_less_or_more_than_was_sent_is_not_believed(held: int, good: bool) -> None:
    log, office = Log().reads(1, size=10 * KB), Office(size=1)
    office.instead["piece"] = lambda asked: PieceHeld(
        log_id=LOG_ID, held=100 + (held if asked.length else 0), done=False, bad=()
    )
    made = conversation(log, office, ParcelSize(4 * KB))
    if good:
        assert made.run(may_continue=times(3)).elements == 0
        assert [(one.offset, one.length) for one in office.sent("piece")] == [(0, 0), (100, 4 * KB)]
        return
    with pytest.raises(LinkError, match=f"{100 + held} bytes are held, but {100 + 4 * KB} were sent"):
        made.run()


def test_parcels_are_on_their_way_together_on_a_good_line_and_each_brings_its_key() -> None:
    together = threading.Barrier(2)

    class Two(Office):
        depth = 2

        def parcel(self, asked: messages.ParcelHeader) -> messages.Message:
            if asked.items[0].sequence < 2:
                together.wait(PATIENCE_S)
            return super().parcel(asked)

    log, office = Log().reads(3, size=MB), Two(size=3)
    assert talk(log, office).elements == 3
    assert [len(one.keys) for one in office.sent("parcel")][:2] == [1, 1]


@pytest.mark.parametrize(
    ("epochs", "lost", "brought", "asked"),
    [
        ((1, 1, 2), set(), [[1, 2]], [1, 2]), ((0, 0, 1), set(), [[1]], [1]),
        ((1, 1, 1), {1}, [[]], [1]), ((3, 1, 3), {1}, [[3]], [3, 1]),
    ],
)  # fmt: skip
def test_a_parcel_brings_each_key_that_it_needs_once(
    epochs: tuple[int, ...], lost: set[int], brought: list[list[int]], asked: list[int]
) -> None:
    log, office = Log(lost_keys=lost), Office(size=3)
    for epoch in epochs:
        log.reads(1, epoch=epoch)
    talk(log, office)
    assert [[key.epoch for key in one.keys] for one in office.sent("parcel")] == brought
    assert [one[1] for one in log.done if one[0] == "key"] == asked


def test_a_key_that_was_answered_for_is_not_brought_again() -> None:
    log, office = Log().reads(4, size=MB), Office(size=4)
    talk(log, office)
    assert [len(one.keys) for one in office.sent("parcel")] == [1, 1, 0]  # the second was filled before


def test_content_that_is_no_more_is_named_without_its_bytes() -> None:
    log, office = Log().reads(3), Office(size=3)
    log.content[0, "text"] = KeyLostError("purged")
    log.content[1, "text"] = LedgerError("damaged", where="blob")
    bad = [(0, True), (1, True), (2, False)]
    office.bad = tuple(
        messages.Bad(sequence=number, name="text", reason="gone", final=final) for number, final in bad
    )
    with capture_logs() as told:
        progress = talk(log, office)
    assert [(one["event"], one.get("final")) for one in told] == [
        ("records_purged_before_sent", None), ("records_refused", False), ("records_refused", True)
    ]  # fmt: skip
    assert [item.length for item in office.sent("parcel")[0].items] == [0, 0, 10]
    assert (progress.elements, progress.purged, progress.bad) == (0, 1, 2)
    assert [one for one in log.done if one[0] == "incident"] == [
        ("incident", "content-lost", "record 1, text: damaged"),
        ("incident", "records-refused", "1 elements of records 1 to 1: gone"),
    ]


def test_what_was_purged_here_and_is_wanted_again_later_is_still_bad() -> None:
    log, office = Log().reads(1), Office(size=1)
    log.content[0, "text"] = KeyLostError("purged")
    office.bad = (messages.Bad(sequence=0, name="text", reason="gone", final=False),)
    progress = talk(log, office)
    assert (progress.purged, progress.bad) == (0, 1)


# --- alerts ---------------------------------------------------------------------------------------------


def hit_log(count: int, alerts: Sequence[int], hits: Sequence[int]) -> Log:
    log = Log(hits=sorted([*alerts, *hits])).reads(count)
    for one in alerts:
        log.rows[one] = a_leaf(one, "alert")
    return log


@pytest.mark.parametrize(
    ("alerts", "hits", "complete_to", "told"),
    [
        ([3, 5], [4], 0, [5, 3]), ([3, 5], [], 4, [5]), ([3, 5], [], 3, [5, 3]), ([], [4], 0, []),
        (range(70), [], 0, [*range(69, 5, -1)]),
    ],
)  # fmt: skip
def test_the_newest_64_alerts_go_ahead_the_newest_first(
    alerts: Sequence[int], hits: Sequence[int], complete_to: int, told: list[int]
) -> None:
    log, office = hit_log(80, alerts, hits), Office(size=80, complete_to=complete_to)
    assert talk(log, office).alerts == len(told)
    assert office.records("alert") == [[one] for one in told]
    assert [one.leaf for one in office.sent("alert")] == [log.rows[one] for one in told]


@pytest.mark.parametrize(("count", "told"), [(200, []), (201, [4])])
def test_hits_go_ahead_of_a_backlog_of_more_than_200_records(count: int, told: list[int]) -> None:
    log, office = hit_log(count + 9, [], [4 + 9]), Office(size=count + 9, complete_to=9)
    talk(log, office)
    assert office.records("alert") == [[one + 9] for one in told]


def test_the_oldest_64_hits_are_announced_first_and_none_twice() -> None:
    log, office = hit_log(300, [2], range(3, 80)), Office(size=300)
    talk(log, office)
    assert office.records("alert") == [[2], *([one] for one in range(3, 67))]


def test_an_alert_is_looked_for_among_the_newest_512_hits() -> None:
    for oldest, told in ((0, []), (1, [1])):
        log, office = hit_log(513, [oldest], [one for one in range(513) if one != oldest]), Office(size=513)
        conversation(log, office)._alerts(office.state, near=1000)
        assert office.records("alert") == ([told] if told else [])


def test_an_alert_brings_its_key_although_it_was_sent_before_and_a_parcel_still_does_not() -> None:
    log, office = hit_log(3, [1], []), Office(size=3)
    made = conversation(log, office)
    made._sent_keys.add(1)
    made._send_alert(1, log.rows[1])
    assert [key.epoch for key in office.sent("alert")[0].keys] == [1]
    assert made._sent_keys == {1}
    made._sent_keys.clear()
    made._send_alert(1, log.rows[1])
    assert made._sent_keys == set()  # the next parcel brings it: an alert is not in the order of the log


def test_an_alert_raised_while_leaves_are_sent_goes_before_the_next_of_them() -> None:
    """The hit just before it was sent ahead already."""
    log, office = Log(rows=[a_leaf(0, "incident", KeyClass.AUDIT)] * 1999).reads(1), Office()
    log.hits = [1999]

    def raised(asked: messages.LeafBatch) -> messages.Message:
        if log.hits == [1999]:
            log.rows.append(a_leaf(2000, "alert", KeyClass.OPEN, names=("entry",)))
            log.content[2000, "entry"] = b"x"
            log.hits = [1999, 2000]
        return office.leaves(asked)

    office.instead["leaves"] = raised
    talk(log, office)
    assert office.names()[2:6] == ["alert", "leaves", "alert", "leaves"]
    assert office.records("alert") == [[1999], [2000]]


@pytest.mark.parametrize("at", ["leaves", "parcel"])
def test_an_alert_raised_on_the_way_is_announced_once_and_a_hit_waits(at: str) -> None:
    log, office = Log().reads(4, size=600 * KB), Office(size=0 if at == "leaves" else 4)

    def raised(asked: Any) -> messages.Message:
        if len(log.rows) == 4:
            log.reads(2, size=600 * KB)
            log.rows[5] = a_leaf(5, "alert")
            log.hits = [4, 5]
        return getattr(Office, at)(office, asked)  # type: ignore[no-any-return]

    office.instead[at] = raised
    assert talk(log, office).alerts == 1
    assert office.records("alert") == [[5]]


# --- receipts, documents --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "without", "taken"),
    [
        (((2, 3), (5, 7)), None, True), ((), None, False),
        (((2, 3), (5, 7)), (2, 8), False),  # no read is in it
        (((2, 3), (5, 7)), (2, 1 << 62), False),  # nothing to ask for
    ],
)  # fmt: skip
def test_a_receipt_is_logged_where_it_covers_content(
    ranges: tuple[tuple[int, int], ...], without: tuple[int, int] | None, taken: bool
) -> None:
    log, office = Log(received=2, sealed=lambda *span: span != without).reads(9), Office(size=9)
    office.ranges = ranges
    progress = talk(log, office)
    assert [one for one in log.done if one[0] == "receipt"] == [("receipt", ranges)] * taken
    assert progress.received == (ranges if taken else ())
    assert len(office.sent("receipt")) == (without != (2, 1 << 62))


REF = messages.DocumentRef(name="policy", version=3)


@pytest.mark.parametrize(
    ("known", "wanted", "may_continue", "taken"),
    [(2, True, True, True), (3, True, True, False), (0, False, True, False), (0, True, False, False)],
)
def test_a_document_is_fetched_where_it_is_newer_and_of_use(
    known: int, wanted: bool, may_continue: bool, taken: bool
) -> None:
    log = Log(versions={"policy": known}, unwanted=set() if wanted else {"policy"})
    office = Office(documents=(REF,))
    progress = talk(log, office, may_continue=lambda: may_continue)
    assert [one.offset for one in office.sent("document")] == [0, 4, 8] * taken
    assert log.done[-1:] == [("document", "policy", b"a document")] * taken or not taken
    assert progress.documents == ("policy",) * taken


def test_a_document_without_a_word_is_one() -> None:
    log, office = Log(), Office(documents=(REF,))
    office.document = b""
    assert talk(log, office).documents == ("policy",)


@pytest.mark.parametrize("refused", ["here", "there"])
def test_a_document_that_is_refused_is_an_incident_and_holds_no_other_up(refused: str) -> None:
    def no(_asked: object) -> messages.Message:
        raise RefusedByDepartmentError("gone", code="malformed")

    log, office = Log(fails=EnvelopeError("no") if refused == "here" else None), Office(documents=(REF,) * 2)
    if refused == "there":
        office.instead["document"] = no
    progress = talk(log, office)
    kind = "EnvelopeError" if refused == "here" else "RefusedByDepartmentError"
    assert [one for one in log.done if one[0] == "incident"] == [
        ("incident", "document-refused", f"policy: {kind}")
    ] * 2
    assert (progress.documents, progress.done) == ((), True)


@pytest.mark.parametrize(
    ("data", "total", "offset", "good"),
    [(b"", 0, 0, True), (b"", 1, 0, False), (b"ab", 2, 0, True), (b"ab", 3, 1, False)],
)
def test_a_part_of_a_document_follows_the_one_before(
    data: bytes, total: int, offset: int, good: bool
) -> None:
    office = Office(documents=(REF,))
    office.instead["document"] = lambda asked: messages.DocumentPart(
        log_id=LOG_ID, name="policy", document_version=3, total=total, offset=offset, data=data
    )
    if good:
        assert talk(Log(), office).documents == ("policy",)
        return
    with pytest.raises(LinkError, match="a piece of a document that does not follow"):
        talk(Log(), office)
