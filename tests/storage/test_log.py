"""The tree in its tables: a stored hash for every 256 leaves, proofs from them, missing parts named."""

from __future__ import annotations

import pytest
import sqlite_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import merkle
from storage.checkpoint import open_checkpoint
from storage.errors import LedgerError
from storage.leaf import Leaf, Mark
from storage.log import LogReader, LogWriter
from storage.record_base import KeyClass

KEY = Ed25519PrivateKey.generate()


def grown(database: sqlite_utils.Database, count: int) -> tuple[LogWriter, list[bytes]]:
    log, hashes = LogWriter(database, KEY), []
    for sequence in range(count):
        leaf = Leaf(
            log_id=log.log_id, kind="gap", sequence=sequence, epoch=1, key_class=KeyClass.AUDIT,
            elements={"entry": Mark(bytes(32), bytes(32))},
        )  # fmt: skip
        ref = log.append(leaf)
        assert ref.sequence == sequence
        hashes.append(ref.leaf_hash)
    return log, hashes


def test_each_256_leaves_leave_one_hash_and_every_root_is_that_of_all_leaves(
    database: sqlite_utils.Database,
) -> None:
    log, hashes = grown(database, 520)
    rows = database.execute("SELECT level, idx, hash FROM nodes ORDER BY idx").fetchall()
    assert rows == [(8, at, merkle.root_of(hashes[256 * at : 256 * at + 256])) for at in (0, 1)]
    for size in (0, 1, 255, 256, 257, 511, 512, 513, 520):
        assert log.root_at(size) == merkle.root_of(hashes[:size])
    assert log.subtree(9, 0) == merkle.root_of(hashes[:512])
    assert log.subtree(2, 3) == merkle.root_of(hashes[12:16])
    merkle.verify_inclusion(300, 520, hashes[300], log.inclusion(300, 520), log.root_at(520))
    merkle.verify_consistency(300, log.root_at(300), 520, log.root_at(520), log.consistency(300, 520))
    assert LogWriter(database, KEY).frontier.root() == log.frontier.root() == merkle.root_of(hashes)


def test_a_head_is_signed_over_all_leaves_and_a_failed_transaction_takes_it_back(
    database: sqlite_utils.Database,
) -> None:
    log, hashes = grown(database, 3)
    assert (log.head_note(), log.size()) == (None, 3)
    note = log.sign_head()
    head = open_checkpoint(note, log.key_of_notes)
    assert (head, log.head_note()) == (log.checkpoint(), note)
    assert (head.size, head.root) == (3, merkle.root_of(hashes))
    before = merkle.Frontier()
    log.rewind(before)
    assert log.frontier is before


def test_a_leaf_or_a_hash_that_is_missing_is_named(database: sqlite_utils.Database) -> None:
    log, _ = grown(database, 8)
    assert (LogReader(database).size(), len(log.leaf(7)) > 0) == (8, True)
    for sequence in (-1, 8):
        with pytest.raises(LedgerError, match=f"record {sequence}: is missing") as missing:
            log.leaf(sequence)
        assert missing.value.leaf_index == sequence
    database.conn.execute("DELETE FROM leaves WHERE sequence = 5")
    with pytest.raises(LedgerError, match="records from 4: tree hashes are missing") as gone:
        log.subtree(2, 1)
    assert gone.value.leaf_index == 4
    with pytest.raises(LedgerError, match="records from 256: tree hashes are missing"):
        log.subtree(8, 1)
