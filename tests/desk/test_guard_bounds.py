"""The limits of the key service's guard: what a query matches, which heads count, what its list says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from log_twins import Log, look_up, stamp

from storage import envelope, merkle
from storage.checkpoint import Checkpoint, NoteKey
from storage.codec import to_bytes
from storage.errors import CheckpointError, LedgerError, SignatureError
from storage.leaf import Leaf, Mark
from storage.record_base import KeyClass
from storage.times import DAY_US, MINUTE_US
from sync.department.content import key_guard, opened_list
from sync.department.content.followed_log import AT_ONCE, FollowedLog, FollowError
from sync.department.content.key_door import Cover, HeadAskedError, Row, read_name
from sync.department.content.key_guard import GuardedKeys
from sync.department.content.opened_list import (
    CONTEXT,
    DAY_KEYS,
    FIRST,
    HEAD,
    KEY_FILE,
    OPENED,
    SETTLED_US,
    OpenedCheck,
    OpenedLine,
    OpenedList,
    list_file,
    parse_list,
    read_lines,
)
from sync.department.journal.access_log import LogPart, origin_of
from sync.department.journal.check_log import SKEW_US, Tree
from sync.department.journal.entries import EntryOf
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import Query
from sync.department.journal.machine_entries import DocumentSent, KeysListSeen
from sync.department.policy.refusals import DeskRefusal
from sync.department.store.closed_records import MOST_BESIDE, beside_name
from sync.errors import KeyServiceError

MINUTES = 15


def root(number: int) -> bytes:
    return bytes([number]) * 32


@pytest.fixture
def listed(tmp_path: Path) -> Iterator[OpenedList]:
    made = OpenedList(tmp_path / "keys")
    yield made
    made.close()


def test_an_entry_covers_its_own_search_alone() -> None:
    query = Query(plate="7ABC001", since_us=3 * DAY_US, until_us=5 * DAY_US)
    access = replace(look_up(1), elements=query.text(), plate=query.plate)
    key_guard._demand_query(access, query)
    key_guard._demand_query(replace(access, action="delivery"), query)
    for other, asked in (
        (replace(access, action="answer"), query),
        (replace(access, plate="7ABC002"), query),
        (access, replace(query, until_us=6 * DAY_US)),
        (access, replace(query, plate="7ABC002")),
    ):
        with pytest.raises(DeskRefusal, match="belongs to another search"):
            key_guard._demand_query(other, asked)
    key_guard._demand_day(query, 3)
    with pytest.raises(DeskRefusal, match="begins after that day"):
        key_guard._demand_day(query, 2)


def test_no_day_is_opened_once_its_year_is_over() -> None:
    """For every caller, even if its destruction is still pending; two clocks may differ by minutes."""
    over_us = (100 + 1 + 365) * DAY_US + SKEW_US
    key_guard._demand_kept(100, over_us - 1)
    with pytest.raises(DeskRefusal, match="the year of that day of receipt is over") as refused:
        key_guard._demand_kept(100, over_us)
    assert refused.value.code == "over"


def row_of(log_id: bytes, sequence: int = 7) -> Row:
    marks = {"text": Mark(bytes(32), bytes(32))}
    one = Leaf(
        log_id=log_id, sequence=sequence, kind="read", epoch=1, key_class=KeyClass.READ, elements=marks
    ).sign(Ed25519PrivateKey.generate())
    return Row.of(one, {})


def test_a_leaf_is_of_the_log_that_is_named_or_beside_its_own() -> None:
    own, other = root(1), root(2)
    for named in (own, beside_name(own, 0), beside_name(own, MOST_BESIDE - 1)):
        key_guard._demand_of_log(named, [row_of(own)])
    for named in (other, beside_name(own, MOST_BESIDE), beside_name(other, 0)):
        with pytest.raises(DeskRefusal, match="to the named log"):
            key_guard._demand_of_log(named, [row_of(own)])
    with pytest.raises(DeskRefusal, match="to the named log"):
        key_guard._demand_of_log(own, [row_of(own), row_of(other)])


def test_an_entry_names_a_read_by_its_log_and_its_number() -> None:
    named = {read_name(root(1), 7)}
    key_guard._demand_named(root(1), [row_of(root(1))], named)
    for log_id, rows in ((root(2), [row_of(root(2))]), (root(1), [row_of(root(1)), row_of(root(1), 8)])):
        with pytest.raises(DeskRefusal, match="does not name that read"):
            key_guard._demand_named(log_id, rows, named)


# --- which heads count ------------------------------------------------------------------------------------


def test_of_the_heads_that_were_accepted_each_question_finds_its_own(listed: OpenedList) -> None:
    assert (listed.newest(), listed.newest_witnessed(), listed.newest_without(9)) == (None, None, None)
    assert (listed.away_since_us(), listed.unwitnessed(), listed.newest_us()) == (None, 0, 0)
    for size, witnessed, at_us in ((3, True, 10), (5, False, 20), (8, False, 30)):
        listed.add_head(size, root(size), witnessed=witnessed, at_us=at_us)
    newest, seen = listed.newest(), listed.newest_witnessed()
    assert newest is not None
    assert seen is not None
    assert (newest.size, newest.root, newest.witnessed, newest.at_us) == (8, root(8), False, 30)
    assert (seen.size, seen.witnessed) == (3, True)
    without = [listed.newest_without(number) for number in (2, 3, 4, 5, 7, 8)]
    assert [one and one.size for one in without] == [None, 3, 3, 5, 5, 8]
    assert (listed.away_since_us(), listed.unwitnessed(), listed.newest_us()) == (20, 2, 30)
    assert [set(listed.roots(*ends)) for ends in ((3, 5), (4, 7), (6, 7))] == [{3, 5}, {5}, set()]
    lines = len(listed.all_messages())
    listed.add_head(5, root(6), witnessed=False, at_us=40)  # brings nothing new
    listed.add_head(3, root(6), witnessed=True, at_us=40)
    assert (listed.roots(3, 5), len(listed.all_messages())) == ({3: root(3), 5: root(5)}, lines)
    listed.add_head(5, root(5), witnessed=True, at_us=50)
    assert (listed.away_since_us(), listed.unwitnessed(), len(listed.all_messages())) == (30, 1, lines + 1)


@pytest.fixture
def guard(listed: OpenedList) -> GuardedKeys:
    """A guard that has followed a log of nine entries completely."""
    log = NoteKey("log", Ed25519PrivateKey.generate().public_key())
    made = GuardedKeys(
        cast(Any, None), log, root(0), cast(Any, None), listed, grace_minutes=MINUTES, clock=lambda: 0
    )
    made._followed = cast(Any, SimpleNamespace(head=lambda: (9, root(9))))
    return made


COVER = Cover(
    leaf=b"", sequence=1, salt=b"", content=b"", size=9, inclusion=(), checkpoint="", unwitnessed=True
)


def continues(guard: GuardedKeys, now_us: int, size: int = 9, *, witnessed: bool = False) -> str:
    """The code with which a head is refused, or "" if it is accepted."""
    guard._demand_one_log = lambda *_: None  # type: ignore[method-assign]
    try:
        guard._continue(COVER, Checkpoint("log", size, root(size)), now_us, witnessed=witnessed)
    except DeskRefusal as refused:
        return str(refused.code)
    return ""


def test_a_grace_begins_with_the_first_head_that_no_witness_saw_and_ends_to_the_microsecond(
    guard: GuardedKeys,
) -> None:
    begun_us, end_us = 1000, 1000 + MINUTES * MINUTE_US
    assert continues(guard, begun_us) == ""
    assert continues(guard, begun_us + 5) == ""  # the same head again
    assert continues(guard, end_us - 1) == ""
    assert continues(guard, end_us) == "witness-away"
    assert continues(guard, begun_us - 1) == "witness-away"  # a clock that was set back
    assert continues(guard, end_us, witnessed=True) == ""
    assert continues(guard, 2 * end_us, size=9) == ""  # continues a head that the witnesses saw
    assert continues(guard, 2 * end_us, size=3) == ""
    assert continues(guard, 2 * end_us, size=10) == ""  # a new grace period
    assert continues(guard, 2 * end_us + MINUTES * MINUTE_US, size=11) == "witness-away"
    assert continues(guard, 2 * end_us + MINUTES * MINUTE_US, size=12, witnessed=True) == ""


def test_a_smaller_head_that_is_shown_later_begins_no_new_grace(guard: GuardedKeys) -> None:
    """Root signs ever smaller heads, one entry less each quarter of an hour, while the witness is away."""
    assert continues(guard, 0) == ""
    assert continues(guard, MINUTES * MINUTE_US - 1, size=8) == ""
    assert continues(guard, MINUTES * MINUTE_US, size=7) == "witness-away"


def test_no_more_heads_than_so_many_are_accepted_in_a_grace(
    guard: GuardedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_guard, "MOST_UNWITNESSED", 3)
    assert [continues(guard, 1, size) for size in (1, 2, 3, 4)] == ["", "", "", "witness-away"]
    assert continues(guard, 1, 5, witnessed=True) == ""
    assert continues(guard, 1, 6) == ""


def test_no_repr_of_a_cover_shows_its_search() -> None:
    assert "7ABC001" not in repr(replace(COVER, content=b"7ABC001"))


def test_a_head_is_of_the_log_that_was_followed_and_no_further(guard: GuardedKeys) -> None:
    hashes = [merkle.leaf_hash(bytes([at])) for at in range(9)]

    def subtree(level: int, index: int) -> bytes:
        return merkle.root_of(hashes[index << level : (index + 1) << level])

    whole = merkle.root_of(hashes)
    before = Checkpoint("log", 5, merkle.root_of(hashes[:5]))
    good = replace(COVER, since=9, consistency=tuple(merkle.consistency_proof(5, 9, subtree)))
    guard._demand_one_log(good, before, 9, whole)
    guard._demand_one_log(COVER, Checkpoint("log", 9, whole), 9, whole)
    for cover, head, code in (
        (COVER, Checkpoint("log", 9, root(1)), "forked"),
        (good, Checkpoint("log", 5, root(1)), "forked"),
        (replace(good, consistency=good.consistency[1:]), before, "forked"),
        (replace(good, since=8), before, "head"),
        (replace(good, since=10), before, "head"),
        (replace(good, since=9), Checkpoint("log", 10, root(1)), "head"),
    ):
        with pytest.raises(DeskRefusal) as refused:
            guard._demand_one_log(cover, head, 9, whole)
        assert refused.value.code == code
        if isinstance(refused.value, HeadAskedError):
            assert refused.value.size == 9


# --- what the list says -----------------------------------------------------------------------------------

LINE = OpenedLine(number=0, before=FIRST, at_us=0, kind=HEAD, size=0, root=root(1), witnessed=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "other"}, {"number": -1}, {"size": -1}, {"before": bytes(31)}, {"before": bytes(33)},
        {"root": bytes(31)}, {"root": bytes(33)},
    ],
)  # fmt: skip
def test_a_signed_line_that_is_not_a_line_of_the_list_is_refused(changes: dict[str, Any]) -> None:
    key = Ed25519PrivateKey.generate()
    good = envelope.sign(to_bytes(LINE), key, context=CONTEXT)
    assert read_lines([good], key.public_key()) == [LINE]
    plain = {name: getattr(LINE, name) for name in OpenedLine.__slots__} | changes
    bad = envelope.sign(envelope.encode(plain), key, context=CONTEXT)
    with pytest.raises(LedgerError, match="line 0"):
        read_lines([bad], key.public_key())


@pytest.mark.parametrize("changes", [{"number": 1}, {"before": bytes([1]) * 32}])
def test_a_line_that_is_moved_is_refused(changes: dict[str, Any]) -> None:
    key = Ed25519PrivateKey.generate()
    moved = envelope.sign(to_bytes(replace(LINE, **changes)), key, context=CONTEXT)
    with pytest.raises(LedgerError, match="does not follow"):
        read_lines([moved], key.public_key())


def test_a_file_with_anything_but_lines_is_not_a_list() -> None:
    assert parse_list(list_file([b"a", b"b"])) == [b"a", b"b"]
    values: tuple[Any, ...] = ({}, [b"a", 1], "a")
    for value in values:
        with pytest.raises(LedgerError, match="not a list of a key service"):
            parse_list(envelope.encode(value))


def test_the_key_of_a_list_that_has_lines_is_never_made_again(tmp_path: Path) -> None:
    """Otherwise a thief of the key could sign a list of its own."""
    OpenedList(tmp_path).close()
    key = tmp_path / KEY_FILE
    kept = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    for damage in (key.unlink, lambda: key.write_bytes(b"short")):
        damage()
        with pytest.raises(KeyServiceError, match="missing or damaged"):
            OpenedList(tmp_path)
    key.write_bytes(kept)
    OpenedList(tmp_path).close()


def test_a_day_key_and_an_alert_are_kept_once_each(listed: OpenedList) -> None:
    lines = len(listed.all_messages())
    for _ in range(2):
        listed.add_day_keys(7, root(1), at_us=1)
        listed.add_alerts(3, [root(1), root(2)], at_us=1)
    assert len(listed.all_messages()) == lines + 3
    assert (listed.has_alert(root(2)), listed.has_alert(root(3))) == (True, False)
    assert not listed.has_opened(3, root(1))


def test_the_list_is_read_in_portions_to_its_end(listed: OpenedList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_list, "AT_ONCE", 2)
    for number in range(4):
        listed.add_opened(number, root(number), witnessed=True, at_us=number)
    assert len(listed.messages()) == 2
    lines = read_lines(listed.all_messages(), listed.public)
    assert [line.number for line in lines] == [0, 1, 2, 3, 4]
    assert listed.all_messages(3) == listed.all_messages()[3:]


@pytest.mark.parametrize(
    ("kind", "size", "of", "held"),
    [
        (OPENED, 0, "leaf 0", True), (OPENED, 2, "leaf 2", True), (OPENED, 1, "leaf 2", False),
        (OPENED, 3, "leaf 2", False), (HEAD, 3, "root 3", True), (HEAD, 1, "root 1", True),
        (HEAD, 3, "root 1", False), (HEAD, 4, "root 3", False),
    ],
)  # fmt: skip
def test_what_was_opened_and_accepted_is_in_the_log_or_is_a_problem(
    kind: str, size: int, of: str, held: bool
) -> None:
    hashes = [merkle.leaf_hash(bytes([at])) for at in range(3)]
    said = {f"leaf {at}": one for at, one in enumerate(hashes)}
    said |= {f"root {at}": merkle.root_of(hashes[:at]) for at in range(1, 4)}
    problems: list[str] = []
    OpenedCheck([replace(LINE, kind=kind, size=size, root=said[of])]).compare(Tree(hashes), problems)
    assert (problems == []) is held


def judged(check: OpenedCheck, note: Note, at_us: int = 0) -> list[str]:
    problems: list[str] = []
    check.judge(EntryOf(9, replace(stamp(1), at_us=at_us), note), problems)
    return problems


def test_a_list_that_lacks_or_changed_lines_that_were_seen_was_set_back() -> None:
    lines = [LINE, replace(LINE, number=1, before=root(2))]
    check = OpenedCheck(lines, root(3))
    for seen, digest in ((0, FIRST), (1, root(2)), (2, root(3))):
        assert judged(check, KeysListSeen(lines=seen, digest=digest)) == []
        assert "other lines now" in judged(check, KeysListSeen(lines=seen, digest=root(9)))[0]
    assert "had 3 lines and has 2" in judged(check, KeysListSeen(lines=3, digest=root(3)))[0]
    assert judged(OpenedCheck(lines), KeysListSeen(lines=2, digest=root(9))) == []  # the last line is missing


def test_day_keys_are_compared_from_two_days_after_the_first_of_the_list() -> None:
    line = replace(LINE, kind=DAY_KEYS, at_us=100, root=root(4))
    note = DocumentSent(name="day-keys", version=3, unit="", digest=root(5), baseline=False)
    check = OpenedCheck([line, replace(line, at_us=500, root=root(6))])
    assert "the key service made others" in judged(check, note, 100 + SETTLED_US)[0]
    assert judged(check, note, 99 + SETTLED_US) == []
    for good in (replace(note, digest=root(6)), replace(note, baseline=True), replace(note, name="roster")):
        assert judged(check, good, 100 + SETTLED_US) == []
    assert judged(OpenedCheck([]), note, 1 << 60) == []


# --- the log that is followed -----------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "log", witnesses=0, quorum=0)
    for _ in range(6):
        made.add()
    yield made
    made.close()


@pytest.fixture
def followed(log: Log, tmp_path: Path) -> Iterator[FollowedLog]:
    own = log.log
    made = FollowedLog(tmp_path / "keys", NoteKey(origin_of(own.log_id), own.public), own.log_id)
    yield made
    made.close()


def nothing(_first: int, _last: int) -> dict[int, bytes]:
    return {}


def test_a_part_may_overlap_what_was_followed_and_never_leave_a_gap(log: Log, followed: FollowedLog) -> None:
    part = log.log.part
    assert followed.head()[0] == 0
    with pytest.raises(FollowError, match="must continue"):
        followed.follow(part(1, 3), nothing)
    assert followed.follow(part(0, 3), nothing) == 3
    assert followed.follow(part(0, 2), nothing) == 3  # nothing new
    assert followed.follow(part(1, 3), nothing) == 3
    for wrong in (part(4, 6), replace(part(3, 6), start=-1), replace(part(3, 6), start=4)):
        with pytest.raises(FollowError):
            followed.follow(wrong, nothing)
    assert followed.follow(part(1, 5), nothing) == 5
    assert followed.follow(part(5, 6), nothing) == 6
    assert followed.head() == (6, log.log.head(6).root)
    large = LogPart(start=6, leaves=(b"",) * (AT_ONCE + 1), openings=(), checkpoint="")
    with pytest.raises(FollowError, match="must continue"):
        followed.follow(large, nothing)


def test_a_part_meets_every_root_that_was_accepted_before(log: Log, followed: FollowedLog) -> None:
    part, asked = log.log.part, list[tuple[int, int]]()

    def expected(wrong: int) -> Any:
        def roots(first: int, last: int) -> dict[int, bytes]:
            asked.append((first, last))
            true = {size: log.log.head(size).root for size in range(first or 1, last + 1)}
            return true | ({wrong: root(1)} if wrong else {})

        return roots

    assert followed.follow(part(0, 2), expected(0)) == 2
    for wrong in (3, 4, 5):
        with pytest.raises(FollowError, match="does not continue"):
            followed.follow(part(2, 5), expected(wrong))
        assert followed.head()[0] == 2
    assert followed.follow(part(1, 5), expected(0)) == 5
    assert asked[-1] == (2, 5)


REFUSALS = (FollowError, CheckpointError, SignatureError)


@pytest.mark.parametrize("wrong", ["root", "size", "order", "foreign", "opening"])
def test_a_part_that_is_not_the_signed_log_changes_nothing(
    log: Log, followed: FollowedLog, tmp_path: Path, wrong: str
) -> None:
    true = log.log.part(0, 4)
    other = Log(tmp_path / "other", witnesses=0, quorum=0, key=Ed25519PrivateKey.generate())
    try:
        for _ in range(4):
            other.add()
        forged = {
            "root": replace(true, checkpoint=other.log.part(0, 4).checkpoint),
            "size": replace(true, checkpoint=log.log.part(0, 5).checkpoint),
            "order": replace(true, leaves=(true.leaves[1], true.leaves[0], *true.leaves[2:])),
            "foreign": other.log.part(0, 4),
            "opening": replace(
                true, openings=tuple(replace(one, salt=bytes(len(one.salt))) for one in true.openings)
            ),
        }
        with pytest.raises(REFUSALS) as refused:
            followed.follow(forged[wrong], nothing)
        assert type(refused.value) in REFUSALS
    finally:
        other.close()
    assert followed.head()[0] == 0
    assert followed.follow(true, nothing) == 4
