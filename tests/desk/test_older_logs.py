"""A log and a policy of an earlier version open in this one; a missing field means what it meant then."""

from __future__ import annotations

import pytest
from desk_twins import Department

from storage.codec import from_plain, to_plain
from storage.errors import RecordError
from sync.department.journal.access_log import AccessLog
from sync.department.journal.entries import Logon
from sync.department.journal.entry_base import Stamp
from sync.department.policy import policy_file


def without(value: object, *names: str) -> dict[str, object]:
    plain = to_plain(value)
    assert isinstance(plain, dict)
    return {name: one for name, one in plain.items() if name not in names}


def test_an_entry_from_before_fresh_proofs_is_read(department: Department) -> None:
    stamp = department.desk.log.entry(3).stamp
    read = from_plain(Stamp, without(stamp, "proven"))
    assert (read.user, read.at_us, read.proven) == (stamp.user, stamp.at_us, "")
    logon = Logon(user="chief", proven=True, reason="", session=bytes(32), post="", totp_step=1)
    assert from_plain(Logon, without(logon, "fresh")) == logon


@pytest.mark.parametrize("gone", ["user", "at_us", "session"])
def test_what_was_always_there_must_be_there(department: Department, gone: str) -> None:
    with pytest.raises(RecordError, match=gone):
        from_plain(Stamp, without(department.desk.log.entry(3).stamp, gone))


def test_a_whole_older_log_opens_and_verifies(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version without fresh proofs wrote it: its signed entries lack those fields."""
    from sync.department.journal import access_log

    def older(value: object) -> object:
        return without(value, "proven", "fresh")

    with monkeypatch.context() as before:
        before.setattr(access_log, "to_plain", older)
        token = department.logon("comm1")
        department.desk.logons.logoff(token)
        size = department.desk.log.size()
    log = AccessLog(department.desk.log.folder, department.home.log_key())
    try:
        newest = log.entry(size - 1)
        assert (newest.stamp.user, newest.stamp.proven) == ("comm1", "")
    finally:
        log.close()


def test_a_policy_from_before_fresh_proofs_means_the_usual_minutes() -> None:
    usual = policy_file.default_document()
    older = b"\n".join(line for line in usual.splitlines() if not line.startswith(b"proof_minutes"))
    assert older != usual
    assert (
        policy_file.parse_policy(older).sessions.proof_minutes
        == policy_file.parse_policy(usual).sessions.proof_minutes
        == 5
    )
