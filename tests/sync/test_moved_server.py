"""A server that moved to another name keeps its former one in its certificate, for earlier units."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from receiver_twins import Joined
from sync_twins import bare_home

from sync.department.ground.home import SETTINGS_FILE, DepartmentHome
from sync.department.ground.settings import load_settings
from sync.department.server.server import Department, demand_known_name, served_names
from sync.department.units.authority import Authority
from sync.errors import InvalidInputError


def certified(home: DepartmentHome) -> tuple[str, list[object]]:
    """The (subject, names) of the certificate that the server shows."""
    pem = Authority.open(home.authority).server_files(served_names(home))[0]
    certificate = x509.load_pem_x509_certificate(pem.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return certificate.subject.rfc4514_string(), [one.value for one in names]


def test_a_moved_server_is_believed_by_its_new_name_and_by_its_former_ones(tmp_path: Path) -> None:
    home = bare_home(tmp_path / "department", host="old.example.gov", listen="0.0.0.0")  # noqa: S104
    assert certified(home) == ("CN=old.example.gov", ["old.example.gov"])
    path = home.path / SETTINGS_FILE
    text = path.read_text().replace('host = "old.example.gov"', 'host = "new.example.gov"', 1)
    path.write_text(text.replace('former_hosts = ""', 'former_hosts = "old.example.gov, older.example.gov"'))
    moved = DepartmentHome.open(home.path)
    assert certified(moved) == (
        "CN=new.example.gov",
        ["new.example.gov", "old.example.gov", "older.example.gov"],
    )


def test_a_server_does_not_start_under_a_name_that_its_units_would_refuse(
    department: Department, unit: Joined
) -> None:
    path = department.home.path / SETTINGS_FILE
    department.authority.server_files(served_names(department.home))
    demand_known_name(department)
    path.write_text(path.read_text().replace('host = "localhost"', 'host = "new.example.gov"', 1))
    department.home = DepartmentHome.open(department.home.path)
    with pytest.raises(
        InvalidInputError, match="was localhost before, and 1 unit may know this server only by that name"
    ) as refused:
        demand_known_name(department)
    assert refused.value.cure.startswith("name localhost in former_hosts, even if you do not know")
    text = path.read_text()
    path.write_text(text.replace('former_hosts = ""', 'former_hosts = "localhost"'))
    department.home = DepartmentHome.open(department.home.path)
    demand_known_name(department)
    path.write_text(text)
    department.home = DepartmentHome.open(department.home.path)
    department.enrollment.revoke("unit", "sold")
    demand_known_name(department)


def test_no_name_of_the_certificate_is_lost_without_a_word(department: Department, unit: Joined) -> None:
    """Once, only the first name was compared, as text: former names were lost, and the server did not start
    with an address in another spelling.
    """
    names = ("2001:DB8:0::1", "Old.example.gov", "10.0.0.1")
    department.authority.server_files(names)
    lost = department.authority.lost_names
    assert lost(names) == lost(("10.0.0.1", "2001:db8::1", "old.EXAMPLE.gov", "new.example.gov")) == []
    assert lost(("2001:db8::1", "new.example.gov")) == ["old.example.gov", "10.0.0.1"]
    assert lost(("2001:db8::1%eth0", "old.example.gov", "10.0.0.1")) == []
    with pytest.raises(InvalidInputError, match=r"was 2001:db8::1, old\.example\.gov, 10\.0\.0\.1 before"):
        demand_known_name(department)


@pytest.mark.parametrize("wrong", ["https://old.example.gov", "old.example.gov:8464", "a b", "old..", "-"])
def test_an_invalid_former_name_is_refused_by_its_key(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / SETTINGS_FILE
    path.write_text(f'former_hosts = "{wrong}"\n')
    with pytest.raises(InvalidInputError, match=r"not a name or address"):
        load_settings(path)
