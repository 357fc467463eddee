"""The CA over the years: its certificate is made anew over the same key, and units follow."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from sync_twins import Unit, found_department, issue_code, running

from sync.department.ground.home import DepartmentHome
from sync.department.units import authority as authorities
from sync.department.units.authority import Authority
from sync.enrolment import check_authority
from sync.errors import NotEnrolledError


def grown_old(home: DepartmentHome, monkeypatch: pytest.MonkeyPatch, days_left: int) -> bytes:
    """The department's CA as it would be with so many days left; its certificate, DER."""
    made = Authority.open(home.authority)
    with monkeypatch.context() as patch:
        patch.setattr(authorities, "CA_DAYS", days_left)
        old = Authority(made.folder, authorities._self_signed(made.key, made.certificate.subject), made.key)
    old._keep()
    return old.der()


def ends(der: bytes) -> dt.datetime:
    return x509.load_der_x509_certificate(der).not_valid_after_utc


def test_a_ca_that_ends_soon_is_made_anew_over_the_same_key_and_units_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = found_department(tmp_path / "department", certificate_days=20)
    unit = Unit(tmp_path / "unit")
    with running(home) as process:
        unit.enrol(issue_code(process.home, "old"))
    first = unit.folder.member().authority
    old = grown_old(home, monkeypatch, 100)
    unit.folder.save_member(dataclasses.replace(unit.folder.member(), authority=old))  # it joined long ago
    with running(home) as process:
        assert unit.attempt().outcome == "done"  # its certificate is due, and brings the CA's
        newest = unit.folder.member().authority
        assert ends(newest) > ends(old)
        assert newest not in {first, old}
        assert unit.attempt().outcome == "done"
        late = Unit(tmp_path / "late")  # the root file still holds the first certificate
        late.enrol(issue_code(process.home, "late"))
        assert late.folder.member().authority == newest
        assert late.attempt().outcome == "done"
        late.close()
    unit.close()


def test_a_young_ca_stays_as_it_is(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", "a department")
    assert made.renewed() is made


def test_another_key_does_not_pass_for_a_ca_made_anew(tmp_path: Path) -> None:
    ours = Authority.create(tmp_path / "ours", "a department")
    forged = Authority.create(tmp_path / "forged", "a department")
    for bad in (forged.der(), b"", b"\x30\x03noise"):
        with pytest.raises(NotEnrolledError, match="another CA"):
            check_authority(bad, ours.der())


def test_the_servers_certificate_is_renewed_when_it_ends_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Authority.create(tmp_path / "ca", "a department")
    pem, _ = made.server_files(("localhost",))
    assert made.server_files(("localhost",))[0].read_bytes() == (before := pem.read_bytes())
    monkeypatch.setattr(authorities, "SERVER_DAYS", 10)
    made.server_files(("localhost", "127.0.0.1"))
    short = pem.read_bytes()
    assert short != before
    assert made.server_files(("localhost", "127.0.0.1"))[0].read_bytes() != short
