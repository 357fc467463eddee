"""`verify` with evidence from others: it does not hang, open other files or control the terminal."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import OVERVIEW, PATCH, make_read

from firmware.cli import main
from firmware.custody.opening import create_ledger
from storage import codec, envelope, evidence
from storage.checkpoint import NoteKey
from storage.errors import LedgerError
from storage.evidence import UnitPackageHead
from storage.files import open_evidence, read_bounded
from storage.leaf import log_id_of, origin_of
from sync.membership import SyncFolder
from sync.plain_output import plain

ORDERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@contextlib.contextmanager
def without_waiting() -> Iterator[None]:
    """Fail if the block takes a minute, as opening a pipe would take forever."""

    def late(_number: int, _frame: object) -> None:
        raise AssertionError("waits for what never comes")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def as_link_to_pipe(path: Path) -> None:
    beside = path.with_name("beside")
    os.mkfifo(beside)
    path.symlink_to(beside)


def as_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


KINDS = [as_pipe, as_socket, as_link_to_pipe, as_device]


@contextlib.contextmanager
def replaced(path: Path, kind: Callable[[Path], None]) -> Iterator[None]:
    data = path.read_bytes()
    path.unlink()
    kind(path)
    try:
        yield
    finally:
        path.unlink()
        path.with_name("beside").unlink(missing_ok=True)
        path.write_bytes(data)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An empty forged package, whose sentence and a file's name contain control sequences."""
    folder = tmp_path / "package"
    folder.mkdir()
    key = Ed25519PrivateKey.generate()
    log_id = log_id_of(key.public_key())
    sentence = "\x1b[2J\x1b[1;1Hconsistent: 7 records\x1b]0;owned\x07\u202e\x9b31m\rproven"
    (folder / "log.pub").write_text(NoteKey(origin_of(log_id), key.public_key()).text() + "\n")
    files = tuple((name, hashlib.sha256((folder / name).read_bytes()).digest()) for name in ["log.pub"])
    head = UnitPackageHead(
        format=1,
        log_id=log_id,
        number="1",
        hold=None,
        created_us=1,
        records=(),
        accesses=(),
        withheld=(),
        demo=False,
        sentence=sentence,
        facts=(),
        files=files,
    )
    (folder / "SHA256SUMS").write_bytes(evidence.sums(head.files))
    signed = envelope.sign(codec.to_bytes(head), key, context=evidence.CONTEXT)
    (folder / "package.cose").write_bytes(signed)
    return folder


def verified(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    with without_waiting():
        status = main(["verify", *words])
    said = capsys.readouterr()
    return status, said.out + said.err


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_of_a_package_is_waited_for_or_followed(
    package: Path, capsys: pytest.CaptureFixture[str], kind: Callable[[Path], None]
) -> None:
    for name in ("log.pub", "SHA256SUMS", "package.cose"):
        with replaced(package / name, kind):
            status, said = verified(capsys, str(package))
            assert status in {1, 2}, (name, said)
            assert "not a plain file" in said or "neither a unit's home" in said, (name, said)


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_of_a_home_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: Callable[[Path], None]
) -> None:
    home = tmp_path / "home"
    with create_ledger(home) as ledger:
        now_us = ledger.store.time.now().us
        ledger.append_read(make_read(now_us), patch=PATCH, overview=OVERVIEW)
    SyncFolder.of(home).make()
    member = SyncFolder.of(home).path / "member.cbor"
    member.write_bytes(b"\xa0")
    store = [
        path for path in (home / "store").rglob("*") if path.is_file() and path.parent.name != "demo-people"
    ]
    assert {"ledger.sqlite3", "log.pub", "slot.uri", "slot", "lock"} <= {path.name for path in store}
    for path in [*store, member]:
        with replaced(path, kind):
            status, said = verified(capsys, str(home))
            assert status in {1, 3} or path.name == "lock", (path, said)


def test_a_foreign_package_and_its_names_move_no_cursor(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (package / "\x1b[31m\nEVIL\x1b]0;pwn\x07").write_text("x")
    Path(os.fsdecode(bytes(package) + b"/\x9b31m\xff")).write_text("x")
    status, said = verified(capsys, str(package))
    assert status == 1
    assert "does not belong to the package" in said
    assert "consistent: 7 records" not in said  # the head's sentence must not look like this program's
    assert "\nEVIL" not in said
    assert ORDERS.findall(said) == []


def test_lines_tabs_and_the_ends_of_csv_lines_stay() -> None:
    text = "a,b\r\nc\td\n\u00e9\u4e2d \U0001f600"
    assert plain(text) == text
    assert plain("\rWRONG\r\r\n\x85") == "?WRONG?\r\n?"


def test_a_file_that_a_person_names_may_be_a_link_or_come_from_the_shell(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"1234")
    (tmp_path / "link").symlink_to("there")
    with open_evidence(tmp_path / "link", follow=True) as file:
        assert file.read() == b"1234"
    reading, writing = os.pipe()
    os.write(writing, b"12")
    os.close(writing)
    with open_evidence(Path(f"/dev/fd/{reading}"), follow=True) as file:
        assert file.read() == b"12"
    os.close(reading)
    with pytest.raises(LedgerError, match="not a plain file"):
        read_bounded(tmp_path / "link", 4)
    with pytest.raises(LedgerError, match="larger than 3 bytes"):
        read_bounded(tmp_path / "there", 3)
