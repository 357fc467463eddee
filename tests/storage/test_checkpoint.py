"""Signed notes of C2SP, as a pair of writer and reader, and against the Go project's own example."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from storage.checkpoint import (
    TYPE_COSIGNATURE,
    Checkpoint,
    NoteKey,
    cosign,
    open_checkpoint,
    open_cosignatures,
    sign_checkpoint,
    split_note,
)
from storage.errors import CheckpointError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
HEAD = Checkpoint("example.com/log", 7, bytes(range(32)))

# From the documentation of golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotp"
    "RZb6KE6RyyBwJnAM=\n"
)


def test_the_go_projects_key_and_signature_are_understood() -> None:
    key = NoteKey.parse(GO_KEY)
    assert key.text() == GO_KEY
    text, [(name, blob)] = split_note(GO_NOTE)
    assert (name, blob[:4]) == ("PeterNeumann", key.key_id)
    key.public.verify(blob[4:], text.encode())


@given(st.integers(0, (1 << 62) - 1), st.binary(min_size=32, max_size=32))
def test_text_parses_to_the_same_checkpoint(size: int, root: bytes) -> None:
    head = Checkpoint("example.com/log", size, root)
    assert Checkpoint.parse(head.text()) == head


def test_a_signed_checkpoint_opens_under_its_key_alone() -> None:
    note = sign_checkpoint(HEAD, KEY)
    assert open_checkpoint(note, NoteKey(HEAD.origin, KEY.public_key())) == HEAD
    with pytest.raises(CheckpointError, match="not signed by"):
        open_checkpoint(note, NoteKey(HEAD.origin, OTHER.public_key()))


def test_every_changed_character_of_a_note_is_refused() -> None:
    note, key = sign_checkpoint(HEAD, KEY), NoteKey(HEAD.origin, KEY.public_key())
    for at, character in enumerate(note):
        changed = note[:at] + ("A" if character != "A" else "B") + note[at + 1 :]
        with pytest.raises(CheckpointError):
            open_checkpoint(changed, key)


@given(st.text(max_size=300))
def test_random_text_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        open_checkpoint(text, NoteKey(HEAD.origin, KEY.public_key()))


def test_cosignatures_are_found_with_their_time_and_a_changed_time_is_refused() -> None:
    note = cosign(sign_checkpoint(HEAD, KEY), "witness.example", OTHER, time_s=1_780_000_000)
    witness = NoteKey("witness.example", OTHER.public_key(), TYPE_COSIGNATURE)
    [found] = open_cosignatures(note, [witness])
    assert (found.name, found.time_s) == ("witness.example", 1_780_000_000)
    assert open_checkpoint(note, NoteKey(HEAD.origin, KEY.public_key())) == HEAD
    late = cosign(sign_checkpoint(HEAD, KEY), "witness.example", OTHER, time_s=1_780_000_001)
    mixed = note.rsplit("\n", 2)[0] + "\n" + late.rsplit("\n", 2)[1] + "\n"
    assert open_cosignatures(mixed, [witness])[0].time_s == 1_780_000_001
    with pytest.raises(CheckpointError, match="is not valid"):
        open_cosignatures(
            cosign(sign_checkpoint(HEAD, KEY), "witness.example", OTHER, time_s=5).replace(
                "example.com/log\n7", "example.com/log\n8"
            ),
            [witness],
        )


def test_a_key_with_a_slip_in_it_is_refused() -> None:
    with pytest.raises(CheckpointError, match="copying error"):
        NoteKey.parse(GO_KEY.replace("c74f", "c74e"))
