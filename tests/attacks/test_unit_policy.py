"""A unit enforces the signed policy's purposes, grounds, topics and case numbers too."""

from __future__ import annotations

import dataclasses

import pytest
from custody_twins import Department, SteppedTime, add_reads, ask_signed, query_body

from storage import access, codec, envelope
from storage.alert_terms import DEFAULT_ALERTS
from storage.door import Door, hold_subject
from storage.errors import RecordError, RefusedError
from storage.ledger import Ledger
from storage.policy import (
    TRAVELED_LATER,
    CustodyPolicy,
    NoReadZone,
    PolicyTerm,
    parse_custody_policy,
)
from storage.roster import RosterPerson
from storage.standing import MAX_DOCUMENT_BYTES
from storage.text_end import END, ENDS
from sync.department.policy.policy_file import default_document, parse_policy
from sync.department.policy.roles import Role
from sync.department.units.documents import custody_policy

OWN = b"""
[unit]
clause = "9.1"
local_query = true
memory_only = ["hit"]
escrow = true
epoch_hours = 6
keep_hours_after_receipt = 2
inquiry_roles = ["communications"]
hold_roles = ["administrator"]
audit_roles = ["reviewer"]
no_read_zones = [{id = "clinic", corners = [[34.15, -118.0], [34.16, -118.0], [34.16, -117.9]]}]
"""
PATROL = PolicyTerm(id="patrol", clause="9.2", text="Patrol by order of the chief")
COURT = PolicyTerm(id="court-order", clause="9.8", text="A court ordered it")


def own_document() -> bytes:
    """Section 463's file with a department's own unit section."""
    return default_document().split(b"[unit]")[0] + OWN + END.encode()


def changed(old: bytes, new: bytes) -> bytes:
    assert own_document().count(old) == 1, old
    return own_document().replace(old, new)


def test_every_value_of_the_unit_section_reaches_the_unit() -> None:
    sent = custody_policy(parse_policy(own_document()), "Monrovia PD")
    taken = parse_custody_policy(codec.to_bytes(sent), limit=MAX_DOCUMENT_BYTES)
    assert taken == sent
    assert (taken.local_query, taken.escrow, taken.memory_only) == (True, True, ("hit",))
    assert (taken.epoch_hours, taken.keep_hours_after_receipt) == (6, 2)
    assert (taken.inquiry_roles, taken.hold_roles) == (("communications",), ("administrator",))
    assert taken.audit_roles == ("reviewer",)
    assert taken.no_read_zones == (
        NoReadZone(id="clinic", corners=((34.15, -118.0), (34.16, -118.0), (34.16, -117.9))),
    )


def test_purposes_grounds_and_topics_of_the_file_reach_the_unit() -> None:
    policy = parse_policy(own_document().replace(b'id = "crime-analysis"', b'id = "patrol"', 1))
    sent = custody_policy(policy, "Monrovia PD")
    assert [one.id for one in sent.purposes] == [one.id for one in policy.purposes]
    assert "patrol" in {one.id for one in sent.purposes}
    assert [one.id for one in sent.grounds] == [one.id for one in policy.holds]
    assert sent.topics == tuple(one.id for one in policy.training.topics)
    assert sent.case_pattern == policy.inquiry.number_pattern
    assert sent.alerts == policy.alerts


def test_the_default_terms_of_alerts_are_those_of_the_default_file() -> None:
    assert parse_policy(default_document()).alerts == DEFAULT_ALERTS


def test_a_file_signed_before_there_were_alerts_allows_the_categories_that_it_named() -> None:
    text = default_document().decode()
    start, end = text.index("[alerts]"), text.index("# What units enforce")
    lists = '[[lists]]\nid = "wanted-person"\nclause = "463.2"\ntext = "Wanted person"\n'
    policy = parse_policy((text[:start] + lists + text[end:]).encode())
    assert [one.id for one in policy.alerts.categories] == ["wanted-person"]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        pytest.param(
            b"local_days = 30", b"local_days = 31", "local_days", id="a local entry for over 30 days"
        ),
        pytest.param(
            b"sound_score = 0.7", b"sound_score = 0.1", "sound_score", id="sounds before it is listed"
        ),
        pytest.param(b'says = "Stolen plate"', b'says = ""', "stolen-plate", id="an alert without words"),
        pytest.param(b'id = "stolen-plate"', b'id = "stolen-vehicle"', "categories", id="a category twice"),
        pytest.param(b'"warrant"', b'"missing"', "categories", id="a word for two categories"),
        pytest.param(b"stale_hours = 24", b"stale_hours = 1000", "stale_hours", id="never stale"),
    ],
)
def test_terms_of_alerts_beyond_their_range_are_refused(old: bytes, new: bytes, field: str) -> None:
    assert default_document().count(old) == 1, old
    with pytest.raises(RecordError, match=field):
        parse_policy(default_document().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        pytest.param(
            b'inquiry_roles = ["communications"]',
            b'inquiry_roles = ["sworn-officer"]',
            "inquiry_roles",
            id="officer who searches",
        ),
        pytest.param(
            b'hold_roles = ["administrator"]',
            b'hold_roles = ["dispatcher"]',
            "hold_roles",
            id="dispatcher who holds",
        ),
        pytest.param(b'["reviewer"]', b'["vendor"]', "audit_roles", id="vendor who audits"),
        pytest.param(b'["hit"]', b'["audit"]', "memory_only", id="access log in memory alone"),
        pytest.param(b"epoch_hours = 6", b"epoch_hours = 25", "epoch_hours", id="key for over a day"),
        pytest.param(b"receipt = 2", b"receipt = -1", "keep_hours_after_receipt", id="purged before receipt"),
        pytest.param(b"[34.16, -117.9]", b"[94.16, -117.9]", "no_read_zones", id="corner off the earth"),
        pytest.param(b", [34.16, -117.9]", b"", "no_read_zones", id="zone of two corners"),
        pytest.param(b'id = "clinic"', b'id = "the clinic"', "no_read_zones", id="zone with an odd name"),
    ],
)
def test_a_unit_section_beyond_its_ceiling_is_refused(old: bytes, new: bytes, field: str) -> None:
    with pytest.raises(RecordError, match=field):
        parse_policy(changed(old, new))


def test_a_policy_file_that_was_cut_between_two_lines_is_not_a_policy() -> None:
    """Without its last training topics, or all list categories but one, it is still valid TOML."""
    document = default_document()
    ends = [at + 1 for at, one in enumerate(document) if one == ord("\n")]
    for length in (0, 1, *ends[:-1], len(document) - 2):
        with pytest.raises(RecordError, match=r"was cut|TOML|missing" if length > ends[7] else "policy"):
            parse_policy(document[:length])
    assert parse_policy(document[:-1])


def test_a_file_signed_before_the_unit_section_means_the_default() -> None:
    old = default_document().replace(ENDS.encode(), b"").split(b"[unit]")[0]
    assert parse_policy(old).unit == parse_policy(default_document()).unit
    assert not parse_policy(old).unit.local_query


def test_a_unit_takes_a_policy_signed_before_its_terms_traveled() -> None:
    plain = codec.to_plain(CustodyPolicy(version=3, keep_days=300))
    old = envelope.encode({name: value for name, value in plain.items() if name not in TRAVELED_LATER})
    assert parse_custody_policy(old, limit=MAX_DOCUMENT_BYTES) == CustodyPolicy(version=3, keep_days=300)


def test_a_policy_that_brings_only_some_of_its_terms_is_refused() -> None:
    plain = codec.to_plain(CustodyPolicy(version=3))
    part = envelope.encode({name: value for name, value in plain.items() if name != "purposes"})
    with pytest.raises(RecordError, match="purposes"):
        parse_custody_policy(part, limit=MAX_DOCUMENT_BYTES)


BAD_VALUES: list[dict[str, object]] = [
    {"purposes": ()},
    {"purposes": (PATROL, PATROL)},
    {"purposes": (dataclasses.replace(PATROL, id="Patrol!"),)},
    {"grounds": ()},
    {"topics": ()},
    {"topics": ("a topic",)},
    {"case_pattern": "("},
    {"case_pattern": ".*", "case_refused": "x"},
    {"case_pattern": "a" * 1001},
    {"no_read_zones": (NoReadZone(id="a", corners=((0.0, 0.0),) * 3),) * 2},
]


@pytest.mark.parametrize("values", BAD_VALUES, ids=", ".join)
def test_a_custody_policy_with_an_impossible_value_is_refused(values: dict[str, object]) -> None:
    made = CustodyPolicy(version=1, **values)  # type: ignore[arg-type]
    with pytest.raises(RecordError, match=next(iter(values)).replace("case_refused", "case_pattern")):
        made.check()


def test_purposes_of_the_policy_hold_at_the_unit(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    add_reads(ledger, time, 1)
    ledger.store.policy = CustodyPolicy(version=2, purposes=(PATROL,))
    with pytest.raises(RefusedError, match="needs a purpose: one of patrol") as refusal:
        door.answer("query", query_body(door, ledger, purpose="investigation"))
    assert refusal.value.clause == "463.2"
    for name in ("patrol", "1", "Patrol by order of the chief"):
        assert door.answer("query", query_body(door, ledger, purpose=name))["reads"]
    with pytest.raises(RefusedError, match="needs a purpose"):
        door.answer("query", query_body(door, ledger, purpose="2"))


NO_CASES = [
    ".", "N/A", "n/a", "none", "NONE", "test", "TEST", "0", "000-000", "", " ", "investigation", "26",
    "26-0815\n", "\u200b\u200b\u200b\u200b", "............", "26-0815; drop", "２６-０８１５", "26-0815" * 9,
]  # fmt: skip


@pytest.mark.parametrize("case", NO_CASES, ids=ascii)
def test_a_word_or_a_blank_is_not_a_case_number(
    ledger: Ledger, door: Door, time: SteppedTime, case: str
) -> None:
    add_reads(ledger, time, 1)
    with pytest.raises(RefusedError, match="needs a basis with its number") as refusal:
        door.answer("query", query_body(door, ledger, case_number=case))
    assert refusal.value.clause == "463.5 (a)"


@pytest.mark.parametrize("case", ["26-0815", "DR-26-001234", "CAD261126", "A12", "IA-26-004"])
def test_a_number_is_a_case_number(ledger: Ledger, door: Door, time: SteppedTime, case: str) -> None:
    add_reads(ledger, time, 1)
    assert door.answer("query", query_body(door, ledger, case_number=case))["reads"]


def test_grounds_of_the_policy_hold_at_the_unit(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    record = add_reads(ledger, time, 1)[0]
    ledger.store.policy = CustodyPolicy(version=2, grounds=(COURT,))

    def place(ground: str) -> dict[str, object]:
        subject = hold_subject((record,), ground, "Superior Court", "BC-260815")
        body = ask_signed(door, ledger, "demo-supervisor", "ccat-supervisor", "hold", subject)
        more = {"records": [record], "ground": ground, "authority": "Superior Court", "number": "BC-260815"}
        return door.answer("hold", body | more)

    with pytest.raises(RefusedError, match="one of the grounds court-order"):
        place("evidence-criminal")
    assert place("court-order")["hold"]


def _person(time: SteppedTime, *topics: str) -> RosterPerson:
    return RosterPerson(
        user="r.diaz",
        roles=("ccat-supervisor",),
        organisation="Monrovia PD",
        ssh_keys=(),
        password=None,
        trained_us=time.now().us,
        topics=topics,
        trainer="c.lee",
        revoked=False,
    )


@pytest.mark.parametrize(("topics", "passes"), [(("drones",), False), (("drones", "law"), True)])
def test_topics_of_the_policy_are_what_training_must_cover(
    time: SteppedTime, topics: tuple[str, ...], passes: bool
) -> None:
    policy = CustodyPolicy(version=2, topics=("drones", "law"))
    request = access.Request(
        action="query",
        user="r.diaz",
        role=str(Role.CCAT_SUPERVISOR),
        purpose="investigation",
        case_number="26-0815",
        subject="",
    )
    now_us = time.now().us
    if passes:
        access.permit(_person(time, *topics), request, policy, now_us=now_us)
        return
    with pytest.raises(RefusedError, match="does not cover every topic"):
        access.permit(_person(time, *topics), request, policy, now_us=now_us)


def test_a_sent_policy_with_own_terms_takes_effect(ledger: Ledger, door: Door, time: SteppedTime) -> None:
    Department().enroll(ledger, local_query=True, purposes=(PATROL,), case_pattern="[0-9]{6}")
    assert ledger.store.policy.purpose("1") == "patrol"
    assert ledger.store.policy.is_case_number("260815")
    assert not ledger.store.policy.is_case_number("26-0815")
