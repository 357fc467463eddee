"""What is already on cards and at departments: the bytes of each format, and the limits at both ends.

Programs installed earlier would refuse a changed format or limit, so all are written out again here, as on
this room's page.
"""

from __future__ import annotations

import importlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage import codec, sealing, times
from storage.checkpoint import TYPE_COSIGNATURE, Checkpoint, NoteKey
from storage.leaf import Leaf, Mark, log_id_of, origin_of
from storage.record_base import KeyClass
from storage.search import UnitQuery
from storage.slot import SlotContent

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG = log_id_of(KEY.public_key())
MB = 1_048_576
LIMITS = {
    "access.NONCE_US": 120_000_000, "blobs.MAX_BLOB_BYTES": 64 * MB, "book_snapshot.EVERY": 500,
    "book_snapshot.MAX_BYTES": 64 * MB, "checkpoint.MAX_NOTE_BYTES": 65_536,
    "clock_trust.AGREEMENT_US": 120_000_000, "clock_trust.LONE_LIMIT_US": 86_400_000_000,
    "clock_trust.NOTICE_US": 120_000_000, "clock_trust.WALK_US": 600_000_000, "codec.MAX_TEXT": 65_536,
    "database.MOST_BYTES": 64 * MB, "door.MAX_ANSWERS": 1000, "door.MAX_IMAGES": 50, "envelope.MAX_BYTES": MB,
    "envelope.MAX_DEPTH": 12, "grant_format.MAX_BYTES": 16_384, "holds.MAX_RECORDS": 1000,
    "home.MAX_LINE_BYTES": 4096, "leaf.MAX_ELEMENTS": 16, "leaf.MAX_LEAF_BYTES": 65_536,
    "ledger.ANCHOR_EVERY_US": 3_600_000_000, "ledger.TEND_AGAIN_US": 600_000_000,
    "ledger.TURN_EVERY_US": 3_600_000_000, "log.STEP": 8, "misreads.NEWEST": 1000,
    "outgoing.KEEP_ANCHORS": 64,
    "outgoing.MAX_TEXT": 2000, "policy.MAX_KEEP_DAYS": 365, "roster.PBKDF2_ROUNDS": 600_000,
    "retention.AUDIT_EPOCH_US": 31_536_000_000_000,
    "schema.APPLICATION_ID": int.from_bytes(b"ALPR", "big"), "schema.FORMAT": 2,
    "sealing.MAX_ELEMENT_BYTES": 16 * MB, "socket_door.MAX_ANSWER": 512 * MB, "socket_door.MAX_REQUEST": MB,
    "ssh_signature.MAX_BYTES": 4096, "standing.MAX_DOCUMENT_BYTES": 8 * MB, "state.MAX_STATE_BYTES": 262_144,
    "store.MOST_STRAYS": 8, "store.READS_TOGETHER": 4,
    "times.DAY_US": 86_400_000_000, "times.HOUR_US": 3_600_000_000, "times.MINUTE_US": 60_000_000,
    "times.SECOND_US": 1_000_000, "verify_package.MAX_FILE_BYTES": 64 * MB,
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_the_one_that_other_programs_know(name: str) -> None:
    module, _, constant = name.partition(".")
    assert getattr(importlib.import_module(f"storage.{module}"), constant) == LIMITS[name]


def test_the_values_of_a_policy_that_says_nothing_are_those_of_section_463() -> None:
    policy = importlib.import_module("storage.policy").CustodyPolicy()
    assert (policy.version, policy.epoch_hours, policy.keep_days, policy.keep_hours_after_receipt) == (
        0, 24, 365, 24
    )  # fmt: skip
    assert (policy.audit_keep_days, policy.training_days, policy.local_query, policy.escrow) == (
        1095, 365, False, False
    )  # fmt: skip
    alerts = policy.alerts
    assert (alerts.bad_lines_per_thousand, alerts.stale_hours, alerts.local_days) == (10, 24, 30)
    assert (alerts.exact_only, alerts.clets_minutes, alerts.outcome_hours) == (False, 10, 24)
    assert (alerts.source_rejected_percent, alerts.source_rejected_least) == (20, 10)
    assert alerts.planted_per_thousand == 20


def test_a_leaf_is_the_map_of_seven_fields() -> None:
    marks = {"text": Mark(b"c" * 32, b"d" * 32)}
    leaf = Leaf(log_id=LOG, kind="read", sequence=5, epoch=3, key_class=KeyClass.READ, elements=marks)
    head = "a70101025820" + LOG.hex() + "036472656164" + "0405" + "0503" + "066472656164"
    assert leaf.payload().hex() == (
        head + "07a16474657874825820" + b"c".hex() * 32 + "5820" + b"d".hex() * 32
    )
    assert Leaf.parse(leaf.payload()) == leaf
    assert origin_of(LOG) == f"alpr-reader/log/{LOG.hex()[:32]}"


def test_an_element_is_salt_length_content_and_zeros_to_256_bytes() -> None:
    salt = bytes(range(32))
    for length, size in ((0, 256), (220, 256), (221, 512)):
        content = b"x" * length
        stored = sealing.leave_open(sealing.Opened("text", salt, content)).stored
        assert stored == (salt + struct.pack(">I", length) + content).ljust(size, b"\0")
    sealed = sealing.seal(salt, LOG, 7, sealing.Opened("text", salt, b"x"))
    aad = bytes.fromhex("8473") + b"alpr-reader/seal/v1" + b"\x58\x20" + LOG + b"\x07\x64text"
    frame = AESGCM(salt).decrypt(sealed.stored[:12], sealed.stored[12:], aad)
    assert frame == (salt + b"\0\0\0\x01x").ljust(256, b"\0")
    wrapped = sealing.wrap(salt, LOG, 2, "keyring", b"secret")
    aad = bytes.fromhex("8473") + b"alpr-reader/wrap/v1" + b"\x58\x20" + LOG + b"\x02\x67keyring"
    assert AESGCM(salt).decrypt(wrapped[:12], wrapped[12:], aad) == b"secret"


def test_a_slot_holds_124_bytes_in_their_order() -> None:
    content = SlotContent(3, b"k" * 32, b"l" * 32, 9, b"r" * 32, -5)
    wanted = (
        b"ASL1" + (3).to_bytes(8, "big") + b"k" * 32 + b"l" * 32 + (9).to_bytes(8, "big") + b"r" * 32
        + (-5).to_bytes(8, "big", signed=True)
    )  # fmt: skip
    assert (content.to_bytes(), len(wanted)) == (wanted, 124)
    assert SlotContent.parse(wanted, where="slot") == content


def test_keys_of_notes_are_of_type_1_and_4_and_a_head_has_three_lines() -> None:
    public = KEY.public_key()
    assert (NoteKey("n", public).type, TYPE_COSIGNATURE) == (1, 4)
    assert Checkpoint("o", 7, bytes(32)).text() == f"o\n7\n{'A' * 43}=\n"


def test_a_record_is_a_map_of_its_fields_in_order() -> None:
    query = UnitQuery(plate="7XKR219", since_us=1, until_us=2)
    assert codec.to_bytes(query).hex() == (
        "a3" + "65" + b"plate".hex() + "67" + b"7XKR219".hex() + "68" + b"since_us".hex() + "01"
        + "68" + b"until_us".hex() + "02"
    )  # fmt: skip


def test_time_begins_with_1970() -> None:
    assert times.utc_text(0) == "1970-01-01 00:00:00.000 UTC"
    assert times.parse_utc("1970-01-01T00:00:00.000001Z") == 1
