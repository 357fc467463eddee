"""C2SP signed notes: writer and reader as a pair, and the example of the Go project."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from storage.checkpoint import (
    TYPE_COSIGNATURE,
    TYPE_ED25519,
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
    last = cosign(sign_checkpoint(HEAD, KEY), "witness.example", OTHER, time_s=(1 << 64) - 1)
    assert open_cosignatures(last, [witness])[0].time_s == (1 << 64) - 1
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


def test_a_mistyped_key_is_refused() -> None:
    with pytest.raises(CheckpointError, match="copying error"):
        NoteKey.parse(GO_KEY.replace("c74f", "c74e"))


def note_of(text: str, *lines: str) -> str:
    return text + "\n" + "".join(lines)


SIGNED = sign_checkpoint(HEAD, KEY)
LINE = SIGNED.split("\n\n")[1]
LONG = "A" * 4 * ((64 * 1024 - len(note_of(HEAD.text())) - len("— n \n".encode())) // 4)
LONGEST = note_of(HEAD.text(), f"— n {LONG}\n")
LONGEST = LONGEST.replace("— n", "— n" + "n" * (64 * 1024 - len(LONGEST.encode())))


@pytest.mark.parametrize(
    ("note", "error"),
    [
        (note_of(HEAD.text(), LINE.replace("example.com/log ", "example.com/other ")), "not signed by"),
        (note_of(HEAD.text(), LINE.replace("—", "-")), "does not start with a dash and a key name"),
        (note_of(HEAD.text(), LINE.replace("example.com/log", "example+com")), "with a dash and a key name"),
        (note_of(HEAD.text(), LINE[:-1]), "not a signed note"),
        (HEAD.text(), "not a signed note"),
        (note_of(HEAD.text(), *[LINE] * 17), "more than 16 signatures"),
        (note_of(HEAD.text(), "— n A\n"), "the signature of n is not base64"),
        (note_of(HEAD.text(), "— n AB==\n"), "the signature of n is not canonical base64"),
        (note_of(HEAD.text(), "— n AAA*\n"), "the signature of n is not base64"),
        (LONGEST.replace("— n", "— nn"), "at most 65536 bytes"),
        (LONGEST, "not signed by"),
        (note_of(HEAD.text() + "more\n", LINE), "three lines: origin, size, root"),
        (note_of(HEAD.text().replace("\n7\n", "\n07\n"), LINE), "is malformed"),
        (note_of(HEAD.text().replace("\n7\n", "\n-7\n"), LINE), "is malformed"),
        (note_of(HEAD.text().replace("example.com/log", ""), LINE), "is malformed"),
        (note_of(Checkpoint(HEAD.origin, 7, bytes(31)).text(), LINE), "is malformed"),
        (note_of(Checkpoint(HEAD.origin, 8, HEAD.root).text(), LINE), "of example.com/log is not valid"),
    ],
)
def test_a_note_of_another_form_or_signer_is_refused(note: str, error: str) -> None:
    with pytest.raises(CheckpointError, match=error):
        open_checkpoint(note, NoteKey(HEAD.origin, KEY.public_key()))


def test_a_head_of_another_log_is_refused_although_the_key_signed_it() -> None:
    text = Checkpoint("example.com/other", 7, HEAD.root).text()
    named = NoteKey("example.com/log", KEY.public_key())
    other = sign_checkpoint(Checkpoint("example.com/other", 7, HEAD.root), KEY)
    blob = named.key_id + KEY.sign(text.encode())
    line = f"— {named.name} {base64.b64encode(blob).decode()}\n"
    with pytest.raises(CheckpointError, match=r"belongs to another log: example\.com/other"):
        open_checkpoint(other + line, named)


def test_sixteen_signatures_are_read() -> None:
    most = note_of(HEAD.text(), *[LINE] * 16)
    assert open_checkpoint(most, NoteKey(HEAD.origin, KEY.public_key())) == HEAD


@pytest.mark.parametrize(
    ("name", "type_", "found"),
    [("w.example", TYPE_COSIGNATURE, 1), ("v.example", TYPE_COSIGNATURE, 0), ("w.example", 1, 0)],
)
def test_a_cosignature_counts_under_its_own_name_and_type_alone(name: str, type_: int, found: int) -> None:
    note = cosign(SIGNED, "w.example", OTHER, time_s=5)
    assert len(open_cosignatures(note, [NoteKey(name, OTHER.public_key(), type_)])) == found
    renamed = note.replace("— w.example ", "— v.example ")
    assert open_cosignatures(renamed, [NoteKey("w.example", OTHER.public_key(), TYPE_COSIGNATURE)]) == []


@pytest.mark.parametrize("length", [4 + 8 + 63, 4 + 8 + 65, 4 + 64])
def test_a_cosignature_of_another_length_is_refused(length: int) -> None:
    witness = NoteKey("w.example", OTHER.public_key(), TYPE_COSIGNATURE)
    blob = base64.b64encode(witness.key_id.ljust(length, b"\0")).decode()
    with pytest.raises(CheckpointError, match=r"the co-signature of w\.example has the wrong length"):
        open_cosignatures(SIGNED + f"— w.example {blob}\n", [witness])


def test_neither_the_logs_own_signature_nor_another_keys_under_the_same_name_is_a_cosignature() -> None:
    assert open_cosignatures(SIGNED, [NoteKey(HEAD.origin, KEY.public_key())]) == []
    note = cosign(SIGNED, "w.example", KEY, time_s=5)
    assert open_cosignatures(note, [NoteKey("w.example", OTHER.public_key(), TYPE_COSIGNATURE)]) == []


def test_the_note_types_are_those_of_c2sp() -> None:
    for type_, first in ((TYPE_ED25519, b"\1"), (TYPE_COSIGNATURE, b"\4")):
        key = NoteKey("a", KEY.public_key(), type_)
        assert base64.b64decode(key.text().split("+", 2)[2])[:1] == first
        assert NoteKey.parse(key.text()) == NoteKey("a", NoteKey.parse(key.text()).public, type_)


def test_a_head_whose_last_line_continues_is_refused() -> None:
    with pytest.raises(CheckpointError, match="three lines: origin, size, root"):
        Checkpoint.parse(HEAD.text() + "more")


@pytest.mark.parametrize(
    "line",
    [
        NoteKey("two words", KEY.public_key()).text(),
        NoteKey("a", KEY.public_key(), 2).text(),
        "a+00000000+" + base64.b64encode(b"\x01" + bytes(31)).decode(),
        "a+00000000+" + base64.b64encode(b"\x01" + bytes(33)).decode(),
    ],
)
def test_a_key_of_another_name_type_or_length_is_refused(line: str) -> None:
    with pytest.raises(CheckpointError, match="not a public key of the form"):
        NoteKey.parse(line)
