"""What a department sends down by command is signed and versioned, and only its unit accepts it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sync_twins import DepartmentProcess, Unit, issue_code
from update_twin import rauc_bundle, update_file

from sync.department import cli
from sync.department.ground.home import load_ed25519
from sync.documents import open_carried


def send(server: DepartmentProcess, *arguments: str) -> int:
    return cli.main(["send", "--home", str(server.home.path), "--json", *arguments])


def test_a_configuration_and_an_update_reach_every_unit_signed(
    server: DepartmentProcess, enrolled: Unit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration, bundle = tmp_path / "reader.toml", tmp_path / "bundle.img"
    configuration.write_text("[sync]\ninterval_s = 300\n")
    bundle.write_bytes(update_file(rauc_bundle(bytes(range(256)) * 3000)))
    assert send(server, "configuration", str(configuration)) == 0
    assert send(server, "update", "--id", "0.2.0", str(bundle)) == 0
    versions = {one["name"]: one["version"] for one in map(json.loads, capsys.readouterr().out.splitlines())}
    made = enrolled.attempt()
    assert made.outcome == "done"
    assert set(versions) <= set(made.progress.documents)
    command = load_ed25519(server.home.path / "command.key").public_key()
    for name, kept, content in (
        ("configuration", "configuration.cbor", configuration.read_bytes()),
        ("update/0.2.0", "update_0.2.0.cbor", bundle.read_bytes()),
    ):
        carried = open_carried((enrolled.folder.inbox / kept).read_bytes(), name, command, "")
        assert carried.body == content
        assert enrolled.outbox.document_version(name) == carried.version == versions[name]
    assert enrolled.attempt().progress.documents == ()


@pytest.mark.one_python
def test_a_document_for_one_unit_reaches_no_other(
    server: DepartmentProcess, enrolled: Unit, units: Callable[[str], Unit], tmp_path: Path
) -> None:
    other = units("other")
    other.enroll(issue_code(server.home, "another unit"))
    path = tmp_path / "one.img"
    path.write_bytes(update_file())
    assert send(server, "update", "--id", "one", "--unit", enrolled.folder.member().unit_id, str(path)) == 0
    assert "update/one" in enrolled.attempt().progress.documents
    assert "update/one" not in other.attempt().progress.documents


@pytest.mark.parametrize(
    ("arguments", "content", "named"),
    [
        pytest.param(("configuration",), b"no = toml = here", "is not TOML", id="not TOML"),
        pytest.param(("configuration",), b"#" * 300_000, "at most", id="too large"),
        pytest.param(("update",), b"x", "--id", id="an update without a name"),
        pytest.param(("update", "--id", "../x"), b"x", "KIND/ID", id="a name that is a path"),
        pytest.param(("update", "--id", "7"), b"garbage", "units would refuse", id="no update file"),
        pytest.param(("configuration", "--unit", "nobody"), b"", "no unit", id="no such unit"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(
    server: DepartmentProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    content: bytes,
    named: str,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert send(server, *arguments, str(path)) == 2
    assert named in capsys.readouterr().err
