"""The command line: output and exit status, in a real process if the process itself is tested."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path

import click
import pytest
from PIL import Image
from warm_program import READER, run_warm

from detector.errors import MissingModelError, MissingRuntimeError
from firmware.cli import COMMANDS, DEFAULT_HOME, KNOWN, PROGRAM, explain, main
from firmware.errors import ConfigError, UsageError
from firmware.run.prepared_home import prepare_home
from hw.errors import MissingDriverError, NoSuchSourceError, PartFailedError
from storage.errors import HomeLockedError, NoHomeError
from storage.home import owner_of
from sync.command_frame import Common, Noun, Verb, run_program

NOBODY = 65534


def reader(*words: str | Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "READER_HOME"}
    if home is not None:
        environment["READER_HOME"] = str(home)
    return run_warm(READER, *map(str, words), environment=environment)


def errors_of(said: str) -> list[str]:
    """Our lines on stderr; the model runtime writes its own with INFO."""
    return [line for line in said.splitlines() if not line.startswith(("INFO:", "WARNING:"))]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_function_and_its_help_ends_in_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = PROGRAM.get_command(click.Context(PROGRAM), name)
    assert isinstance(command, Verb | Noun)
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: reader {name} ")
    assert said.splitlines()[-1].startswith("example: reader")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["run", "--source", "x"], "run"),
        (["--home", "run", "read", "x"], "read"),
        (["--json", "--home=run", "init"], "init"),
        (["sync", "--home", "run", "status"], "sync"),
    ],
)
def test_command_is_found_wherever_home_is_given(
    words: list[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Common] = []

    def note(common: Common, _options: object) -> None:
        seen.append(common)
        raise UsageError("found")

    assert run_program(PROGRAM, words, known=KNOWN, explain=explain, before=note) == 2
    home = Path("run") if any("--home" in word for word in words) else DEFAULT_HOME
    assert [(one.command, one.home, one.json) for one in seen] == [(command, home, "--json" in words)]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["fly"], id="unknown command"),
        pytest.param(["read"], id="missing argument"),
        pytest.param(["run", "--pace", "slow"], id="unknown choice"),
        pytest.param(["init", "--color"], id="unknown option"),
        pytest.param(["query", "--limit", "0"], id="no reads at all"),
        pytest.param(["query", "--limit", "1001"], id="more reads than an answer holds"),
        pytest.param(["audit", "--since", "0d", "--until", "5d"], id="a period that runs backward"),
        pytest.param([], id="nothing asked"),
    ],
)
def test_misuse_is_reported_on_stderr_with_status_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(words)
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err
    if words:
        assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MissingDriverError("x"), 3),
        (MissingRuntimeError(("x",)), 3),
        (MissingModelError(Path("x"), "x", "x"), 3),
        (HomeLockedError("x"), 2),
        (NoSuchSourceError("x"), 2),
        (PartFailedError("x"), 1),
        (UsageError("x"), 2),
        (ConfigError("f", "k", "r"), 2),
    ],
)
def test_exit_status_shows_what_kind_of_trouble_it_was(error: Exception, status: int) -> None:
    assert isinstance(error, KNOWN)
    assert explain(error, PROGRAM.common())[1] == status


@pytest.mark.one_python
def test_init_makes_a_home_once_and_then_leaves_it_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = json.loads(reader("init", "--json", home=home).stdout)
    again = json.loads(reader("--home", home, "--json", "init").stdout)
    assert first["new"] is True
    assert again["new"] is False
    assert again["public_key"] == first["public_key"]
    assert home.stat().st_mode & 0o077 == 0


def test_a_home_that_keeps_its_keys_elsewhere_is_not_said_to_be_in_the_slot_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `init --slot` on a home that the service made, an installer mistook the file for the chip."""
    home, chip = ["--home", str(tmp_path / "home")], f"loopback:{tmp_path / 'chip'}"
    assert main([*home, "init"]) == 0
    assert main([*home, "init", "--slot", "file:slot"]) == 0
    capsys.readouterr()
    assert main([*home, "init", "--slot", chip]) == 2
    assert f"keeps its keys in file:slot, not in {chip}" in capsys.readouterr().err


def test_wrong_configuration_is_refused_with_file_key_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_home(tmp_path)
    (tmp_path / "config.toml").write_text("[camera]\nexposure_us = 99999\n")
    assert main(["--home", str(tmp_path), "run", "--source", str(tmp_path), "--once"]) == 2
    said = errors_of(capsys.readouterr().err)
    assert said[0].startswith(f"reader: run: {tmp_path}/config.toml: camera.exposure_us: 99999")


@pytest.mark.parametrize(
    "error",
    [
        OSError(30, "Read-only file system", "store/lock"),
        OSError(5, "Input/output error"),
        sqlite3.OperationalError("disk I/O error"),
    ],
    ids=["system", "card", "database"],
)
def test_what_system_and_database_say_is_one_line(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_words: object, **_named: object) -> None:
        raise error

    prepare_home(tmp_path)
    monkeypatch.setattr("firmware.run.app.run", run)
    assert main(["--home", str(tmp_path), "run"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("reader: run: ")
    assert "replace the card" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "told"),
    [("rtsp://viewer:hunter2@10.0.0.7/live", True), ("rtsp://10.0.0.7/live", False), ("camera", False)],
)
def test_a_password_on_the_command_line_is_warned_of_and_not_repeated(
    tmp_path: Path,
    source: str,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*_words: object, **_named: object) -> None:
        raise OSError(30, "Read-only file system", "store/lock")

    prepare_home(tmp_path)
    monkeypatch.setattr("firmware.run.app.run", run)
    assert main(["--home", str(tmp_path), "run", "--source", source]) == 1
    said = capsys.readouterr().err
    assert ("can read the password in the list of processes" in said) is told
    assert "hunter2" not in said


@pytest.mark.parametrize("words", [["run"], ["selftest"], ["console"], ["enroll", "ALPR1-X"]])
def test_a_mistyped_home_is_named_and_becomes_no_second_unit(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "lib" / "alpr-raeder"
    monkeypatch.setenv("READER_HOME", str(home))
    assert main(words) == 2
    assert errors_of(capsys.readouterr().err) == [
        f"reader: {words[0]}: {home}: no unit is here (check --home; `reader init` makes a new unit)"
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def another_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of another user, visited by root."""
    home = tmp_path / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    return home


def test_root_leaves_nothing_in_a_home_of_another_user(
    another_users_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sudo reader init` or `sudo reader status` would leave files that the service cannot open again."""
    home = another_users_home
    assert main(["--home", str(home), "init"]) == 2
    assert f"sudo -u {owner_of(home)} reader" in capsys.readouterr().err
    assert list(home.iterdir()) == []


def test_root_opens_no_ledger_of_another_user(
    another_users_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = tmp_path / "made"
    with monkeypatch.context() as own:
        own.setattr(os, "geteuid", lambda: made.stat().st_uid)
        prepare_home(made)
    for path in made.iterdir():
        path.rename(another_users_home / path.name)
    before = {path: path.stat().st_mtime_ns for path in another_users_home.rglob("*")}
    assert main(["--home", str(another_users_home), "status"]) == 2
    assert "sudo -u" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in another_users_home.rglob("*")} == before


@pytest.mark.parametrize(
    ("inside", "whose", "said"),
    [
        ("config.toml", "own", "sudo chown -R {owner} {home}"),
        ("store/lock", "another", "{home} belongs to {owner}: sudo -u {owner} reader"),
        ("", "nobody yet", "sudo install -d -m 700 -o $USER {home}"),
    ],
)
def test_a_home_that_may_not_be_used_names_its_owner_and_the_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str, whose: str, said: str
) -> None:
    home = tmp_path / "home"
    owner = owner_of(tmp_path)
    if whose != "nobody yet":
        home.mkdir()
    if whose == "another":
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    text, status = explain(PermissionError(13, "Permission denied", str(home / inside)), Common(home))
    assert said.format(owner=owner, home=home) in text
    assert status == 2
    assert "(" not in explain(PermissionError(13, "Permission denied", "/elsewhere"), Common(home))[0]


def test_a_slot_name_that_is_not_a_text_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_home(tmp_path)
    (tmp_path / "store" / "slot.uri").write_bytes(b"\xff\x00")
    assert main(["--home", str(tmp_path), "run", "--source", str(tmp_path)]) == 2
    assert len(errors_of(capsys.readouterr().err)) == 1


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("source", "status", "said"),
    [("nowhere", 2, "no such folder or video"), ("camera", 3, "picamera2 cannot be loaded")],
)
def test_source_that_cannot_be_opened_is_named(tmp_path: Path, source: str, status: int, said: str) -> None:
    prepare_home(tmp_path)
    done = reader("run", "--source", source, home=tmp_path)
    assert done.returncode == status
    assert said in errors_of(done.stderr)[0]


@pytest.mark.one_python
def test_broken_images_are_named_the_others_read_and_the_status_is_1(tmp_path: Path) -> None:
    good, broken = tmp_path / "good.png", tmp_path / "broken.jpg"
    Image.new("RGB", (64, 48), "white").save(good)
    broken.write_bytes(b"\xff\xd8\xff\xe0 no more")
    done = reader("read", broken, tmp_path / "absent.jpg", good)
    bad, absent, facts = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert [bad.pop("error") != "", absent.pop("error") != ""] == [True, True]
    assert [bad, absent] == [{"image": str(broken)}, {"image": str(tmp_path / "absent.jpg")}]
    assert facts["image"] == str(good)
    assert facts["plates"] == []
    assert facts["ms"].keys() >= {"load", "find"}
    assert [str(broken) in errors_of(done.stderr)[0], "absent.jpg" in errors_of(done.stderr)[1]] == [
        True,
        True,
    ]


@pytest.mark.one_python
def test_image_without_a_plate_gives_an_empty_list_and_status_0(tmp_path: Path) -> None:
    Image.new("L", (1920, 1080), 90).save(tmp_path / "gray.png")
    done = reader("read", tmp_path / "gray.png")
    assert done.returncode == 0
    assert json.loads(done.stdout)["plates"] == []


@pytest.mark.one_python
def test_reading_a_picture_gives_every_promised_field(shared_data: Path) -> None:
    image = shared_data / "uk-single-seq" / "images" / "uk_f060.jpg"
    done = reader("read", image)
    facts = json.loads(done.stdout)
    plate = max(facts["plates"], key=lambda one: one["confidence"])
    assert done.returncode == 0
    assert facts["image"] == str(image)
    assert plate["text"] == "LS15EBC"
    assert len(plate["char_confidences"]) == 7
    assert plate["candidates"][0][0] == "LS15EBC"
    assert 0 <= plate["confidence"] <= 1
    assert [len(plate["box"]), len(plate["corners"])] == [4, 4]
    x, y, w, h = plate["box"]
    assert all(x <= px <= x + w + 0.1 and y <= py <= y + h + 0.1 for px, py in plate["corners"])


@pytest.mark.parametrize("kind", [OSError, PermissionError])
@pytest.mark.parametrize("name", [5, None, "link/file"])
def test_an_error_with_an_odd_name_or_a_link_into_a_shut_folder_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[OSError], name: object
) -> None:
    (tmp_path / "link").symlink_to("/elsewhere/shut")
    real = Path.stat

    def shut(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if follow_symlinks and path.name in {"link", "member.cbor"}:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", shut)
    where = str(tmp_path / name) if isinstance(name, str) else name
    text, _ = explain(kind(5, "Input/output error", where), Common(tmp_path))
    assert "a link to nothing" not in text
    assert "no unit is here" in explain(NoHomeError("no unit is here", where="x"), Common(tmp_path))[0]
