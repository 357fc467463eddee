"""Root holds every key of the department and rewrites its access log; a stranger checks with the
witness's key.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from log_twins import look_up, stamp

from storage import envelope, merkle, sealing
from storage.cosigners import CosignerKey, Witnesses, cosignature_line
from storage.leaf import Mark
from sync.department.content.opened_list import OpenedCheck, OpenedList, read_lines
from sync.department.journal import check_log
from sync.department.journal.access_log import (
    CONTEXT,
    DATABASE,
    ELEMENT,
    KEYS,
    AccessLog,
    AuditKeys,
    leaf_payload,
    parse_leaf,
)
from sync.department.journal.inquiry_entries import AccessEnded
from sync.department.journal.publisher import Publisher, WatchingWitness
from sync.department.journal.witness_link import FolderWitness
from sync.department.journal.witness_server import WitnessFolder

FULL = os.environ.get("ALPR_FAULTS") == "full"
LOOK_UPS = 60
ATTACKS = 100


def quorum(witness: CosignerKey) -> Witnesses:
    return Witnesses(((witness,),), 1)


def publish(log: AccessLog, link: FolderWitness, key: CosignerKey) -> None:
    """Get the whole log co-signed, as the desk does."""
    publisher = Publisher(log, log.folder)
    try:
        publisher.cover(log.size() - 1, Witnesses(((key,),), 1), [WatchingWitness((key,), link)])
    finally:
        publisher.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ed25519PrivateKey, CosignerKey, str]:
    """(log's folder, log's key, which root has too, witness's key, its newest checkpoint)."""
    folder = tmp_path_factory.mktemp("watched")
    key = Ed25519PrivateKey.generate()
    witness = WitnessFolder.create(folder / "witness", "witness.example/1")
    log = AccessLog.create(folder / "log", key)
    witness.add_log(log.note_key)
    clock = [0]
    link = FolderWitness(witness, lambda: clock[0])
    for number in range(LOOK_UPS):
        entry = log.append(look_up(number), stamp(number))
        log.append(AccessEnded(access=entry.sequence, count=1, reads=(), unwitnessed=False), stamp(number))
        clock[0] = stamp(number).at_us
        if number % 7 == 0:
            publish(log, link, witness.keys[0])
    publish(log, link, witness.keys[0])
    newest = link.newest(log.origin)
    log.close()
    witness.close()
    return folder / "log", key, witness.keys[0], newest


class Root:
    """A person with every key of the department and an open database."""

    def __init__(self, folder: Path, key: Ed25519PrivateKey) -> None:
        self.log = AccessLog(folder, key)
        self.db = sqlite3.connect(folder / DATABASE, isolation_level=None)
        self.key = key
        self.rows: list[tuple[int, str, int, bytes, bytes]] = self.db.execute(
            "SELECT sequence, kind, year, leaf, sealed FROM entries ORDER BY sequence"
        ).fetchall()

    def sign(
        self, sequence: int, row: tuple[int, str, int, bytes, bytes], content: bytes
    ) -> tuple[int, str, int, bytes, bytes]:
        """Seal and sign an entry again, at another place or with other content."""
        sealed = sealing.seal(
            self.log.keys.of(row[2]), self.log.log_id, sequence, sealing.fresh(ELEMENT, content)
        )
        mark = Mark(sealed.commitment, sealed.digest)
        payload = leaf_payload(self.log.log_id, row[1], sequence, row[2], mark)
        return (sequence, row[1], row[2], envelope.sign(payload, self.key, context=CONTEXT), sealed.stored)

    def content(self, row: tuple[int, str, int, bytes, bytes]) -> bytes:
        mark = parse_leaf(envelope.split(row[3])[1])[4]
        key = self.log.keys.of(row[2])
        return sealing.open_sealed(key, self.log.log_id, row[0], ELEMENT, row[4], mark.commitment).content

    def write(self, rows: list[tuple[int, str, int, bytes, bytes]]) -> None:
        """Replace the log by these rows, with a tree and tree heads that fit them."""
        self.db.execute("BEGIN")
        for table in ("entries", "nodes", "heads"):
            self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        self.db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
        level, row = 0, [merkle.leaf_hash(one[3]) for one in rows]
        while row:
            self.db.executemany(
                "INSERT INTO nodes VALUES (?, ?, ?)", [(level, at, value) for at, value in enumerate(row)]
            )
            row = [merkle.node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
            level += 1
        self.db.execute("COMMIT")
        self.db.close()
        self.log.close()


def attack(kind: str, root: Root, at: int) -> None:
    """One way to remove or alter a lookup, done as well as possible."""
    rows = root.rows
    content = root.content(rows[at])
    if kind == "removed":
        left = rows[:at] + rows[at + 1 :]
        root.write([root.sign(n, row, root.content(row)) for n, row in enumerate(left)])
    elif kind == "cut off":
        root.write(rows[:at])
    elif kind == "edited":
        edited = (
            content.replace(b"7ABC", b"9ZZZ") if b"7ABC" in content else content.replace(b"comm", b"chef")
        )
        assert edited != content
        root.write([*rows[:at], root.sign(at, rows[at], edited), *rows[at + 1 :]])
    elif kind == "replaced":
        other = root.content(rows[at - 2])
        root.write([*rows[:at], root.sign(at, rows[at - 2], other), *rows[at + 1 :]])
    elif kind == "swapped":
        first, second = (
            root.sign(at - 1, rows[at], content),
            root.sign(at, rows[at - 1], root.content(rows[at - 1])),
        )
        root.write([*rows[: at - 1], first, second, *rows[at + 1 :]])
    else:
        assert kind == "sealed entry lost"
        sequence, name, year, leaf, _ = rows[at]
        root.write([*rows[:at], (sequence, name, year, leaf, os.urandom(300)), *rows[at + 1 :]])


@pytest.mark.thorough
def test_look_ups_made_in_the_grace_or_dated_back_are_found_by_a_stranger(
    watched: tuple[Path, Ed25519PrivateKey, CosignerKey, str], tmp_path: Path
) -> None:
    """The key service's list shows what it opened for and root removed before any witness saw it. The audit
    keys show an entry dated before a head that lacks it.
    """
    folder, key, witness, newest = watched
    chance = random.Random(464)
    found, times = 0, ATTACKS * (10 if FULL else 1)
    for number in range(times):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        listed = OpenedList(tmp_path / f"keys{number}")
        log = AccessLog(copy, key)
        at = 2 * LOOK_UPS + 2 * chance.randrange(1, 5)
        if number % 2:
            while log.size() <= at:  # made while the witness was away
                log.append(look_up(log.size()), stamp(log.size()))
            leaf = log.opening(at)[0]
            listed.add_opened(at, merkle.leaf_hash(leaf), witnessed=False, at_us=1)
            log.close()
            attack("cut off", Root(copy, key), chance.randrange(2 * LOOK_UPS, at + 1))
        else:
            log._newest = (0, 0)
            back = stamp(chance.randrange(LOOK_UPS - 30))
            monotone = AccessLog.newest_us
            try:
                AccessLog.newest_us = lambda _self: 0  # type: ignore[method-assign, assignment]
                log.append(look_up(900), back)
            finally:
                AccessLog.newest_us = monotone  # type: ignore[method-assign]
            log.close()
        report = check_log.check(
            copy,
            key.public_key(),
            witnesses=quorum(witness),
            checkpoints=[newest],
            keys=AuditKeys(copy / KEYS),
            opened=OpenedCheck(read_lines(listed.all_messages(), listed.public)),
        )
        found += not report.sound
        listed.close()
        shutil.rmtree(copy)
    assert found == times


KINDS = ("removed", "cut off", "edited", "replaced", "swapped", "sealed entry lost")


def test_removed_and_edited_look_ups_are_found_by_a_stranger(
    watched: tuple[Path, Ed25519PrivateKey, CosignerKey, str], tmp_path: Path
) -> None:
    folder, key, witness, newest = watched
    chance = random.Random(463)
    found, times = 0, ATTACKS * (10 if FULL else 1)
    for number in range(times):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        attack(KINDS[number % len(KINDS)], Root(copy, key), chance.randrange(2, 2 * LOOK_UPS))
        report = check_log.check(copy, key.public_key(), witnesses=quorum(witness), checkpoints=[newest])
        found += not report.sound
        shutil.rmtree(copy)
    assert found == times


def test_an_untouched_log_is_sound_to_the_same_stranger(
    watched: tuple[Path, Ed25519PrivateKey, CosignerKey, str],
) -> None:
    folder, key, witness, newest = watched
    report = check_log.check(folder, key.public_key(), witnesses=quorum(witness), checkpoints=[newest])
    assert report.problems == ()
    assert (report.entries, report.witnessed) == (2 * LOOK_UPS, 2 * LOOK_UPS)


def test_the_witness_refuses_to_continue_a_rewritten_log(
    watched: tuple[Path, Ed25519PrivateKey, CosignerKey, str], tmp_path: Path
) -> None:
    from storage.errors import ForkedLogError

    folder, key, witness, _ = watched
    shutil.copytree(folder.parent, tmp_path / "copy")
    rewritten = tmp_path / "copy" / "log"
    link = FolderWitness(WitnessFolder(tmp_path / "copy" / "witness"))
    attack("edited", Root(rewritten, key), 10)
    log = AccessLog(rewritten, key)
    log.append(look_up(900), stamp(900))
    with pytest.raises(ForkedLogError):
        publish(log, link, witness)
    log.close()
    attack("cut off", Root(rewritten, key), 20)
    log = AccessLog(rewritten, key)
    with pytest.raises(ForkedLogError):
        publish(log, link, witness)
    log.close()
    link.close()


def test_one_witness_that_is_shown_twice_is_not_a_quorum_of_two(
    watched: tuple[Path, Ed25519PrivateKey, CosignerKey, str],
) -> None:
    """A dishonest witness keeps an older head, which is presented as another witness's head too."""
    folder, key, witness, newest = watched
    private = Ed25519PrivateKey.generate()
    both = Witnesses(((witness,), (CosignerKey.of("other.example", private),)), 2)
    second = newest + cosignature_line(newest, "other.example", private, time_s=1)

    def proven(*shown: str) -> bool:
        return check_log.check(folder, key.public_key(), witnesses=both, checkpoints=shown).proven

    assert [proven(newest), proven(newest, newest), proven(second), proven(second, newest)] == [
        *(False, False, False, True)
    ]
    assert proven(newest, second)


def test_without_the_witness_a_cut_off_end_does_not_pass_as_checked(
    watched: tuple[Path, Ed25519PrivateKey, CosignerKey, str], tmp_path: Path
) -> None:
    folder, key, witness, _ = watched
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    attack("cut off", Root(copy, key), 50)
    report = check_log.check(copy, key.public_key(), witnesses=quorum(witness))
    assert any("0 of 1 witness gave a valid tree head" in one for one in report.unchecked)
    assert not report.proven
    assert report.problems == ()  # an absent head is no problem; the status says that nothing is proven
