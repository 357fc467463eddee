"""A unit with its keys in a chip joins, syncs and renews, and its card alone has no identity."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sync_twins import DepartmentProcess, Unit, bare_home, issue_code, running
from tpm_twin import software_tpm

from firmware.custody.opening import create_ledger, sync_folder
from hw.errors import ChipFailedError
from hw.unit_chip import open_chip
from sync.errors import NotEnrolledError, UnitKeyError
from sync.membership import SyncFolder


@pytest.fixture(params=["loopback", "tpm"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "loopback":
        yield f"loopback:{tmp_path}/chip"
        return
    (tmp_path / "tpm").mkdir()
    with software_tpm(tmp_path / "tpm") as tcti:
        yield f"tpm:0x1500ab1@{tcti}"


def with_chip(unit: Unit, uri: str) -> Unit:
    unit.folder = dataclasses.replace(unit.folder, chip=open_chip(uri))
    return unit


def test_a_unit_with_a_chip_joins_and_syncs_and_no_private_key_is_on_its_card(
    server: DepartmentProcess, tmp_path: Path, uri: str, request: pytest.FixtureRequest
) -> None:
    unit = with_chip(Unit(tmp_path / "unit"), uri)
    unit.enroll(issue_code(server.home, request.node.name[-60:]))
    unit.add(3)
    try:
        made = unit.attempt()
        assert made.outcome == "done", made.what
    finally:
        unit.close()
    names = {path.name for path in unit.folder.path.iterdir()}
    assert {"unit.chip", "tls.sealed"} <= names
    assert not names & {"unit.key", "tls.key"}
    assert not [p for p in unit.home.rglob("*") if p.is_file() and b"PRIVATE KEY" in p.read_bytes()]


def test_the_card_in_another_unit_signs_nothing(
    server: DepartmentProcess, tmp_path: Path, uri: str, request: pytest.FixtureRequest
) -> None:
    unit = with_chip(Unit(tmp_path / "unit"), uri)
    unit.enroll(issue_code(server.home, request.node.name[-60:]))
    unit.close()
    shutil.copytree(unit.home / "sync", tmp_path / "stolen" / "sync")
    bare = SyncFolder.of(tmp_path / "stolen")
    with pytest.raises(NotEnrolledError, match="chip that is not here"):
        bare.unit_key()
    with pytest.raises(NotEnrolledError, match="chip that is not here"), bare.tls_key_file():
        pass
    other = SyncFolder.of(tmp_path / "stolen", open_chip(f"loopback:{tmp_path}/other"))
    with pytest.raises(NotEnrolledError, match="another unit's key"):
        other.unit_key()
    with pytest.raises(ChipFailedError, match="does not open"):
        other.tls_private()


def test_the_certificate_is_renewed_by_the_chips_word(tmp_path: Path, uri: str) -> None:
    with running(bare_home(tmp_path / "department", certificate_days=20)) as process:
        unit = with_chip(Unit(tmp_path / "unit"), uri)
        unit.enroll(issue_code(process.home, "renews"))
        before = unit.folder.certificate.read_bytes()
        assert unit.attempt().outcome == "done"
        assert unit.folder.certificate.read_bytes() != before
        unit.close()


def test_a_unit_that_joined_before_it_had_a_chip_keeps_its_keys(
    server: DepartmentProcess, enrolled: Unit, tmp_path: Path
) -> None:
    public = enrolled.folder.unit_key().public_der()
    with_chip(enrolled, f"loopback:{tmp_path}/late")
    assert enrolled.folder.unit_key().public_der() == public
    assert enrolled.attempt().outcome == "done"


def test_the_slot_of_a_home_says_where_its_keys_are(tmp_path: Path) -> None:
    create_ledger(tmp_path / "chip", slot_uri=f"loopback:{tmp_path}/slot").close()
    create_ledger(tmp_path / "file").close()
    assert sync_folder(tmp_path / "chip").chip is not None
    assert sync_folder(tmp_path / "file").chip is None


def test_a_chip_that_fails_is_an_error_of_the_units_key(tmp_path: Path) -> None:
    create_ledger(tmp_path / "home", slot_uri=f"loopback:{tmp_path}/slot").close()
    folder = sync_folder(tmp_path / "home")
    folder.make()
    folder.tls_private()
    (folder.path / "tls.sealed").write_bytes(b"damaged")
    with pytest.raises(UnitKeyError, match="does not open"):
        folder.tls_private()
