"""The policy file: section 463 as the default, and ceilings that no department's file may exceed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage import policy as custody
from storage.errors import RecordError
from storage.times import iso_text
from sync.department.ground.local_time import end_of_day_us
from sync.department.policy.policy_file import default_document, parse_policy
from sync.department.policy.roles import CALLS, Call, Role


def changed(old: str, new: str) -> bytes:
    text = default_document().decode()
    assert old in text, old
    return text.replace(old, new, 1).encode()


def test_the_default_is_section_463_in_the_words_of_the_whole_project() -> None:
    policy = parse_policy(default_document())
    assert {one.id for one in policy.purposes} == set(custody.PURPOSES)
    assert {one.id for one in policy.holds} == set(custody.GROUNDS)
    assert {one.id.value for one in policy.roles} == set(custody.ROLES) == {one.value for one in Role}
    assert {one.id for one in policy.training.topics} == set(custody.TRAINING_TOPICS)
    assert policy.retention.keep_days == custody.MAX_KEEP_DAYS
    assert set(CALLS) == set(Call)


def test_only_supervisor_and_communications_search_by_default() -> None:
    policy = parse_policy(default_document())
    for call in (Call.INQUIRY_RUN, Call.INQUIRY_APPROVE, Call.IMAGE_VIEW):
        assert {role for role, calls in policy.grants.items() if call in calls} == {
            Role.CCAT_SUPERVISOR,
            Role.COMMUNICATIONS,
        }
    assert policy.effective_roles((Role.DISPATCHER,)) == (Role.DISPATCHER, Role.COMMUNICATIONS)
    assert not any(CALLS[call].touches_data for call in policy.grants[Role.VENDOR])


CEILINGS = [
    ('["incident.read", "policy.read"]', '["policy.read", "inquiry.run"]', "a vendor who searches"),
    ('["incident.read", "policy.read"]', '["policy.read", "audit.read"]', "a vendor who reads the log"),
    ('["incident.read", "policy.read"]', '["incident.close"]', "a vendor who closes incidents"),
    ('["incident.read", "policy.read"]', '["grant.issue"]', "a vendor who lets himself in"),
    (
        'training.read",\n    "grant.enter"',
        'training.read",\n    "grant.issue"',
        "a designee who lets vendors in by day",
    ),
    ('"audit.review", "share.read"', '"inquiry.run", "share.read"', "a reviewer who searches"),
    ('"hold.read", "hold.release"', '"user.manage", "hold.release"', "a designee who manages users"),
    (
        '"share.record", "share.read", "training.read",\n    "policy.read",',
        '"share.approve", "policy.read",',
        "an analyst who approves",
    ),
    (
        '"share.record", "share.read", "training.read",\n    "policy.read",',
        '"training.record",',
        "an analyst who records training",
    ),
    ('also = ["communications"]', 'also = ["administrator"]', "a dispatcher who is administrator too"),
    ("keep_days = 365 ", "keep_days = 366 ", "content kept longer than a year"),
    (
        "keep_days = 365 ",
        "keep_days = 60 ",
        "content kept less than the manual says",
    ),
    ("log_keep_days = 730", "log_keep_days = 400", "a log kept shorter than a year beyond its content"),
    ("lock_minutes = 30", "lock_minutes = 31", "a later lock"),
    ("attempts = 5", "attempts = 6", "more attempts"),
    ("proof_minutes = 5", "proof_minutes = 16", "a proof that is no longer fresh"),
    ("window_minutes = 15", "window_minutes = 5", "a shorter window"),
    ("grace_minutes = 15", "grace_minutes = 16", "a longer grace"),
    ("valid_days = 365", "valid_days = 800", "training that lasts two years"),
    (
        'conductor_recorded_by = "administrator"',
        'conductor_recorded_by = "ccat-supervisor"',
        "one's own training",
    ),
    ('allowed_kinds = ["law-enforcement"', 'allowed_kinds = ["private"', "sharing with private parties"),
    ('state = "CA"\nclause = "463.6 (d)"', 'state = "NV"\nclause = "463.6 (d)"', "an agreement out of state"),
    ("same_plate_count = 5", "same_plate_count = 50", "a deaf detector"),
    ("argon2_passes = 3", "argon2_passes = 1", "cheap passwords"),
    ("every_days = 92", "every_days = 3650", "an audit every ten years"),
    ('number_pattern = "[A-Z0-9][A-Z0-9-]{3,31}"', 'number_pattern = ".*"', "no number at all"),
    ("version = 1\n", "version = 0\n", "version nought"),
    ('"America/Los_Angeles"', '"America/Los_Angles"', "a zone that is none"),
    ('"America/Los_Angeles"', '"../../etc/passwd"', "a file as a zone"),
    ('"America/Los_Angeles"', '"UTC-15:00"', "a clock further from UTC than any"),
    ("format = 1\n", "format = 1\nbackdoor = true\n", "an unknown field"),
    ('id = "enforcement"', 'id = "investigation"', "one purpose twice"),
]


@pytest.mark.parametrize(("old", "new"), [pytest.param(a, b, id=name) for a, b, name in CEILINGS])
def test_no_policy_file_passes_a_ceiling(old: str, new: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_policy(changed(old, new))
    assert "policy" in str(refused.value)


def own_manual(text: str) -> str:
    """The same policy as section 9.4 of another manual, with its own clause on retention."""
    text = text.replace('manual = "463"', 'manual = "Arcadia 9.4"')
    return text.replace('[retention]\nclause = "463.8"', '[retention]\nclause = "9.4 (c)"')


def test_a_shorter_retention_names_its_own_clause_beside_its_own_manual() -> None:
    text = default_document().decode().replace("keep_days = 365 ", "keep_days = 60 ")
    for half in (
        text.replace('manual = "463"', 'manual = "Arcadia 9.4"'),
        text.replace('[retention]\nclause = "463.8"', '[retention]\nclause = "9.4 (c)"'),
    ):
        with pytest.raises(RecordError, match=r"463\.8 says a year"):
            parse_policy(half.encode())
    assert parse_policy(own_manual(text).encode()).retention.keep_days == 60


def test_another_department_changes_values_not_code() -> None:
    text = default_document().decode()
    text = text.replace("keep_days = 365 ", "keep_days = 60 ").replace(
        "Monrovia Police Department", "Arcadia PD"
    )
    text = text.replace('also = ["communications"]', "also = []").replace(
        "every_days = 92", "every_days = 30"
    )
    text = own_manual(text)
    policy = parse_policy(text.encode())
    assert (policy.department, policy.retention.keep_days, policy.audit.every_days) == ("Arcadia PD", 60, 30)
    assert policy.effective_roles((Role.DISPATCHER,)) == (Role.DISPATCHER,)


@pytest.mark.parametrize("document", [b"\xff\xfe", b"format = ", b"[", b"x = 1\n" * 100_000])
def test_a_file_that_is_not_a_policy_is_refused_in_words(document: bytes) -> None:
    with pytest.raises(RecordError):
        parse_policy(document)


def test_a_file_signed_before_zones_keeps_its_one_offset() -> None:
    """The log contains every policy file that was ever in force, and a desk reads them all when it opens."""
    old = changed('time_zone = "America/Los_Angeles"', "#").decode()
    assert "sample_per_thousand = 10\n" in old
    for minutes, name in ((-480, "UTC-08:00"), (330, "UTC+05:30"), (0, "UTC+00:00")):
        line = f"sample_per_thousand = 10\nutc_offset_minutes = {minutes}\n"
        policy = parse_policy(old.replace("sample_per_thousand = 10\n", line).encode())
        assert policy.time_zone == name
        assert policy.zone.utcoffset(None) == timedelta(minutes=minutes)
    with pytest.raises(RecordError, match="time_zone"):
        parse_policy(old.replace("sample_per_thousand = 10\n", line.replace("= 0", "= -900")).encode())
    with pytest.raises(RecordError):
        parse_policy(default_document().replace(b"sample_per_thousand = 10\n", line.encode()))


def test_no_two_times_of_a_search_read_alike_in_its_entry() -> None:
    """The key service compares the texts: they must have the time to the microsecond, and never fail."""
    assert iso_text(1_790_000_000_000_000) == "2026-09-21T14:13:20Z"
    assert iso_text(1_790_000_000_000_001) == "2026-09-21T14:13:20.000001Z"
    for odd in (-1, 0, 1 << 62, -(1 << 62)):
        assert iso_text(odd) != iso_text(odd + 1)


def test_a_day_that_is_typed_ends_with_the_departments_day() -> None:
    zone = parse_policy(default_document()).zone
    for day, ends in (
        (datetime(2026, 7, 1), datetime(2026, 7, 2, 7, tzinfo=UTC)),
        (datetime(2026, 12, 1), datetime(2026, 12, 2, 8, tzinfo=UTC)),
        (datetime(2026, 3, 8), datetime(2026, 3, 9, 7, tzinfo=UTC)),
        (datetime(2026, 11, 1), datetime(2026, 11, 2, 8, tzinfo=UTC)),
    ):
        assert end_of_day_us(day, zone) == round(ends.timestamp()) * 1_000_000
