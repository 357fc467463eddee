"""The table of controls shows what is in force: its figures come from policy, root file and home."""

from __future__ import annotations

import pytest
from desk_twins import Department

from sync.department.policy.controls import FIPS_NAME, Control, Facts, table
from sync.department.policy.policy_file import default_document, parse_policy

FACTS = Facts(keys_elsewhere=False, witness_here=False, database="sqlite")


def rows(department: Department, document: bytes, facts: Facts = FACTS) -> dict[str, Control]:
    return {one.control: one for one in table(parse_policy(document), department.desk.root, facts)}


@pytest.mark.parametrize(
    ("control", "old", "new", "shown"),
    [
        ("AC-7", "attempts = 5", "attempts = 3", "3 in 15 minutes"),
        ("AC-7", "lockout_minutes = 15", "lockout_minutes = 60", "lock for 60 minutes"),
        ("AC-11", "lock_minutes = 30", "lock_minutes = 10", "10 minutes"),
        ("AC-11", 'staffed_posts = ["dispatch"]', "staffed_posts = []", "exempt posts: none"),
        ("AC-12", "longest_hours = 12", "longest_hours = 8", "after 8 hours"),
        ("AT-2, AT-3", "valid_days = 365", "valid_days = 180", "180 days"),
        ("AU-6", "every_days = 92", "every_days = 30", "every 30 days"),
        ("AU-6", "finding_due_days = 14", "finding_due_days = 7", "due in 7 days"),
        ("AU-9", "grace_minutes = 15", "grace_minutes = 0", "grace 0 minutes"),
        ("AU-11", "log_keep_days = 730", "log_keep_days = 3650", "3,650 days"),
        ("IA-5", "password_min = 12", "password_min = 16", "16 characters"),
        ("IA-5", "argon2_passes = 3", "argon2_passes = 4", "4 passes"),
        ("IA-5", 'profile = "standard"', 'profile = "fips"', "PBKDF2-HMAC-SHA-256, 600000 rounds"),
        ("SC-8", 'profile = "standard"', 'profile = "fips"', "only AES-GCM suites"),
        ("SC-13", 'profile = "standard"', 'profile = "fips"', FIPS_NAME),
    ],
)
def test_each_figure_is_the_one_in_force(
    department: Department, control: str, old: str, new: str, shown: str
) -> None:
    assert old in default_document().decode()
    assert shown not in rows(department, default_document())[control].in_force
    changed = default_document().decode().replace(old, new, 1).encode()
    assert shown in rows(department, changed)[control].in_force


def test_what_is_missing_is_reported(department: Department) -> None:
    usual = default_document()
    fips = usual.replace(b'profile = "standard"', b'profile = "fips"')
    here = rows(department, usual)["SC-12"]
    assert "root on this machine can read content without a trace" in here.in_force
    assert here.gap
    away = rows(department, usual, Facts(keys_elsewhere=True, witness_here=False, database="sqlite"))
    assert "cannot open content without an entry" in away["SC-12"].in_force
    assert "equal search tokens" in away["SC-12"].gap
    own = rows(department, usual, Facts(keys_elsewhere=False, witness_here=True, database="sqlite"))
    assert "does not guard against its root" in own["AU-9"].gap
    chacha = Facts(keys_elsewhere=True, witness_here=False, database="x", tls_beyond=("TLS_CHACHA20",))
    assert "TLS_CHACHA20" in rows(department, fips, chacha)["SC-8"].gap
    assert not rows(department, usual, chacha)["SC-8"].gap
    assert "not a validated module" in rows(department, fips)["SC-13"].in_force
