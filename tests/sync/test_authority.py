"""The CA over the years: its certificate is renewed for the same key, and units follow."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from sync_twins import Unit, bare_home, issue_code, running

from storage.times import DAY_US, now_us
from sync.department.ground.home import DepartmentHome
from sync.department.ground.tls import tls_context
from sync.department.units import authority as authorities
from sync.department.units.authority import Authority
from sync.enrollment import check_authority
from sync.errors import NotEnrolledError


def grown_old(home: DepartmentHome, monkeypatch: pytest.MonkeyPatch, days_left: int) -> bytes:
    """Make the department's CA as if it had this many days left. Returns its certificate, DER."""
    made = Authority.open(home.authority)
    with monkeypatch.context() as patch:
        patch.setattr(authorities, "CA_DAYS", days_left)
        certificate = authorities._own_certificate(made.key, made.certificate.subject, now_us())
        old = Authority(made.folder, certificate, made.key)
    old._keep()
    return old.der()


def ends(der: bytes) -> dt.datetime:
    return x509.load_der_x509_certificate(der).not_valid_after_utc


@pytest.mark.one_python
def test_a_ca_that_expires_soon_is_renewed_over_the_same_key_and_units_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = bare_home(tmp_path / "department", certificate_days=20)
    unit = Unit(tmp_path / "unit")
    with running(home) as process:
        unit.enroll(issue_code(process.home, "old"))
    first = unit.folder.member().authority
    old = grown_old(home, monkeypatch, 100)
    unit.folder.save_member(dataclasses.replace(unit.folder.member(), authority=old))  # it joined long ago
    with running(home) as process:
        assert unit.attempt().outcome == "done"  # its certificate is due, and comes with the CA's
        newest = unit.folder.member().authority
        assert ends(newest) > ends(old)
        assert newest not in {first, old}
        assert unit.attempt().outcome == "done"
        late = Unit(tmp_path / "late")  # the root file still has the first certificate
        late.enroll(issue_code(process.home, "late"))
        assert late.folder.member().authority == newest
        assert late.attempt().outcome == "done"
        late.close()
    unit.close()


def test_a_young_ca_stays_as_it_is(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", "a department")
    assert not made.renew()


def test_another_key_does_not_pass_for_a_renewed_ca(tmp_path: Path) -> None:
    ours = Authority.create(tmp_path / "ours", "a department")
    forged = Authority.create(tmp_path / "forged", "a department")
    for bad in (forged.der(), b"", b"\x30\x03noise"):
        with pytest.raises(NotEnrolledError, match="a CA that"):
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


@pytest.mark.parametrize("days", [1, 366, 4000])
def test_what_was_made_under_a_clock_ahead_is_replaced(tmp_path: Path, days: int) -> None:
    """A certificate that is not yet valid would lock every unit out until that day."""
    clock = [now_us() + days * DAY_US]
    made = Authority.create(tmp_path / "ca", "a department", lambda: clock[0])
    pem, _ = made.server_files(("localhost",))
    clock[0] -= days * DAY_US
    again = Authority.open(tmp_path / "ca", lambda: clock[0])
    key = again.public_der()
    assert again.renew()
    assert again.public_der() == key
    for certificate in (again.certificate, x509.load_pem_x509_certificate(_served(again))):
        assert certificate.not_valid_before_utc.timestamp() * 1e6 <= clock[0]
    assert pem.read_bytes() == _served(again)


def _served(authority: Authority) -> bytes:
    return authority.server_files(("localhost",))[0].read_bytes()


@pytest.mark.parametrize("lost", ["server.pem", "server.key", "both"])
def test_a_pair_of_certificate_and_key_that_a_crash_tore_is_replaced(tmp_path: Path, lost: str) -> None:
    """The key file is replaced first: in between, the pair does not match, but the server must start."""
    made = Authority.create(tmp_path / "ca", "a department")
    _, key = made.server_files(("localhost",))
    if lost == "both":
        other = Authority.create(tmp_path / "other", "a department")
        key.write_bytes(other.server_files(("localhost",))[1].read_bytes())
    else:
        (tmp_path / "ca" / lost).write_bytes(b"")
    context = tls_context(*made.server_files(("localhost",)))
    assert context.verify_mode is not None


@pytest.mark.thorough
@pytest.mark.one_python
def test_ten_years_of_daily_renewals_leave_no_day_without_a_certificate(tmp_path: Path) -> None:
    clock = [now_us()]
    made = Authority.create(tmp_path / "ca", "a department", lambda: clock[0])
    key, renewed = made.public_der(), 0
    for _ in range(3650):
        clock[0] += DAY_US
        renewed += made.renew()
        served = x509.load_pem_x509_certificate(_served(made))
        now = clock[0] / 1e6
        for one in (made.certificate, served):
            assert one.not_valid_before_utc.timestamp() <= now < one.not_valid_after_utc.timestamp()
    assert renewed >= 7
    assert made.public_der() == key
