"""How the door parses a request, and the text under which it is signed and logged."""

from __future__ import annotations

import contextlib

import pytest
from custody_twins import PLATE, START_US, Department, SteppedTime, add_reads, ask_signed, query_body

from storage import door as doors
from storage import holds
from storage.access import BAD_CREDENTIAL
from storage.audit import UnitAuditFilter
from storage.audit_records import UnitAccess, UnitAccessEnded
from storage.door import Door, audit_subject, hold_subject, subject_of
from storage.errors import LedgerError, RecordError, RefusedError
from storage.evidence import export_subject
from storage.ledger import Ledger
from storage.record_base import ClockState
from storage.search import UnitQuery
from storage.times import DAY_US, MINUTE_US

EVER = (1 << 62) - 1
ALL = {"since_us": 0, "until_us": EVER, "user": None, "purpose": None, "plate": None}
SINCE = "since=1970-01-01 00:00:00.000 UTC"


def test_what_is_signed_is_said_in_words() -> None:
    until = "until=1970-01-01 00:00:00.000 UTC"
    everything = UnitQuery(plate=None, since_us=0, until_us=EVER)
    of_one = UnitQuery(plate="7X?", since_us=0, until_us=0)
    assert subject_of(everything) == f"any plate {SINCE} until=now"
    assert subject_of(of_one, images=True) == f"plate=7X? {SINCE} {until} with images"
    all_entries = UnitAuditFilter(since_us=0, until_us=EVER, user=None, purpose=None, plate=None)
    some = UnitAuditFilter(since_us=0, until_us=0, user="a", purpose="p", plate="7xk r219")
    assert audit_subject(all_entries) == f"user=any {SINCE} until=now"
    assert audit_subject(some) == f"user=a {SINCE} {until} purpose=p plate=7XKR219"
    hold = hold_subject((7, 9), "discovery", "Court", "1")
    assert hold == "hold records=7,9 ground=discovery authority=Court number=1"
    assert export_subject((7,), None, "E-1", ()) == "export records=7 number=E-1 withhold=nothing"
    withheld = export_subject((), 0, "E-1", ("patch", "text"))
    assert withheld == "export hold=0 number=E-1 withhold=patch,text"


def test_numbers_and_texts_of_a_request_are_bounded() -> None:
    assert (doors._numbers([1, 2]), doors._numbers(())) == ((1, 2), ())
    for value in (None, 7, "12", [True], [1.0], ["1"]):
        with pytest.raises(RecordError, match="records: must be a list of record numbers"):
            doors._numbers(value)
    assert (doors._text({}, "n"), doors._text({"n": "x" * 500}, "n")) == ("", "x" * 500)
    for text in ("x" * 501, 7, None):
        with pytest.raises(RecordError, match="n: must be text of at most 500 characters"):
            doors._text({"n": text}, "n")


@pytest.mark.parametrize(
    ("limit", "found", "more"), [(2, 2, True), (3, 3, False), (4, 3, False), (0, 0, True), (-1, 0, True)]
)
def test_an_answer_holds_what_was_asked_for_and_says_that_there_is_more(
    ledger: Ledger, door: Door, time: SteppedTime, limit: int, found: int, more: bool
) -> None:
    reads = add_reads(ledger, time, 3)
    answer = door.answer("query", query_body(door, ledger) | {"limit": limit})
    assert ([one["sequence"] for one in answer["reads"]], answer["more"]) == (reads[:found], more)
    ended = ledger.store.record(answer["entry"] + 1)
    assert isinstance(ended, UnitAccessEnded)
    assert (ended.access, ended.records) == (answer["entry"], tuple(reads[:found]))
    assert (doors.MAX_ANSWERS, doors.MAX_IMAGES) == (1000, 50)


@pytest.mark.parametrize(
    ("since", "until", "found"), [(0, 0, 0), (0, 1, 1), (400_000, 900_000, 1), (400_001, 900_000, 0)]
)
def test_a_read_is_found_from_its_first_moment_to_its_last(
    ledger: Ledger, door: Door, time: SteppedTime, since: int, until: int, found: int
) -> None:
    (read,) = add_reads(ledger, time, 1)
    first = ledger.read(read).first_us
    query = UnitQuery(plate=PLATE, since_us=first + since, until_us=first + until)
    body = ask_signed(door, ledger, "demo-supervisor", "ccat-supervisor", "query", subject_of(query))
    plain = {"plate": PLATE, "since_us": query.since_us, "until_us": query.until_us}
    assert len(door.answer("query", body | {"query": plain})["reads"]) == found


def test_an_entry_says_who_asked_how_and_why_it_was_refused(
    ledger: Ledger, door: Door, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)

    def entry(body: dict[str, object]) -> UnitAccess:
        size = ledger.store.next_sequence()
        with contextlib.suppress(RefusedError):
            door.answer("query", body)
        record = ledger.store.record(size)
        assert isinstance(record, UnitAccess)
        return record

    asked = entry(query_body(door, ledger, purpose="1"))
    assert (asked.allowed, asked.refusal, asked.proof, asked.demo) == (True, None, "ssh signature", True)
    assert (asked.purpose, asked.organisation, asked.user) == ("investigation", "demo", "demo-supervisor")
    none = entry(query_body(door, ledger) | {"proof": None})
    assert (none.allowed, none.proof) == (False, "none")
    typed = query_body(door, ledger)
    typed["proof"] = typed["proof"] | {"signature": None, "password": "x"}
    refused = entry(typed)
    assert (refused.allowed, refused.proof) == (False, "password")
    assert "the credential does not prove that user" in str(refused.refusal)
    with pytest.raises(RecordError, match="action: the signed request does not match"):
        door.answer("audit", query_body(door, ledger) | {"filter": ALL})
    with pytest.raises(RecordError, match="unlock: is not a known request"):
        door.answer("unlock", {})
    Department().enroll(ledger, local_query=True)
    assert not entry(query_body(door, ledger)).demo


@pytest.mark.parametrize(
    ("age_us", "user", "refusal", "counts"),
    [
        (0, "a", f"463.3: {BAD_CREDENTIAL}", True), (30 * MINUTE_US, "a", BAD_CREDENTIAL, True),
        (30 * MINUTE_US + 1, "a", BAD_CREDENTIAL, False), (0, "b", BAD_CREDENTIAL, False),
        (0, "a", "463.2: needs a purpose", False), (0, "a", None, False),
        (-MINUTE_US, "a", BAD_CREDENTIAL, True), (-MINUTE_US - 1, "a", BAD_CREDENTIAL, False),
        (-400 * DAY_US, "a", BAD_CREDENTIAL, False), (1 - START_US, "a", BAD_CREDENTIAL, False),
    ],
)  # fmt: skip
def test_a_failed_logon_counts_against_its_user_for_as_long_as_it_can_lock(
    ledger: Ledger, door: Door, time: SteppedTime, age_us: int, user: str, refusal: str | None, counts: bool
) -> None:
    """A failure dated by a clock that was ahead locks no one, or it would do so until that time."""
    at_us = time.now().us
    ledger.append(
        UnitAccess(
            action="query", at_us=at_us, clock_state=ClockState.DISCIPLINED, user=user, role="ccat",
            organisation="o", purpose="p", case_number="1", elements="e", allowed=refusal is None,
            refusal=refusal, proof="password", demo=False,
        )
    )  # fmt: skip
    assert door._failures("a", at_us + age_us) == [at_us] * counts


@pytest.mark.parametrize(("records", "hold"), [([0], None), ([], 0)])
def test_an_export_of_what_is_not_a_read_is_refused_in_the_log_before_anything_is_built(
    ledger: Ledger, door: Door, records: list[int], hold: int | None
) -> None:
    subject = export_subject(tuple(records), hold, "E-1", ())
    body = ask_signed(door, ledger, "demo-admin", "administrator", "export", subject)
    size = ledger.store.next_sequence()
    with pytest.raises(LedgerError, match="record 0: is not a"):
        door.answer("export", body | {"records": records, "hold": hold, "number": "E-1", "withhold": []})
    entries = holds.audit_records(ledger.store, size)
    assert [one.allowed for one in entries if isinstance(one, UnitAccess)] == [False]
    assert len(entries) == 1
