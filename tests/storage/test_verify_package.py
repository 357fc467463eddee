"""A record in an evidence package: its leaf, its place and its content, each checked alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import codec, merkle, sealing, tlog_proof
from storage.audit_records import Gap
from storage.checkpoint import Checkpoint, NoteKey, sign_checkpoint
from storage.errors import ProofError, StorageError
from storage.evidence import Shown, ShownElement, plain_view
from storage.findings import UnitReport
from storage.leaf import Leaf, Mark, log_id_of, origin_of
from storage.record_base import KeyClass
from storage.verify_package import _record, is_package

PRIVATE = Ed25519PrivateKey.generate()
LOG_ID = log_id_of(PRIVATE.public_key())
KEY = NoteKey(origin_of(LOG_ID), PRIVATE.public_key())
OPENED = sealing.fresh("entry", codec.to_bytes(Gap(reason="x", from_us=1, to_us=2, lost=0)))
LEAF = Leaf(
    log_id=LOG_ID, kind="gap", sequence=0, epoch=1, key_class=KeyClass.AUDIT,
    elements={"entry": Mark(OPENED.commitment(), bytes(32))},
)  # fmt: skip


def put(folder: Path, leaf: Leaf = LEAF, *, index: int = 0, shown: str = "entry", salt: bytes = b"") -> None:
    """Write a package's folder for a log with only this record, as a thief of the log's key could sign it."""
    data = leaf.sign(PRIVATE)
    note = sign_checkpoint(Checkpoint(KEY.name, 1, merkle.leaf_hash(data)), PRIVATE)
    element = ShownElement(name=shown, salt=salt or OPENED.salt, content=OPENED.content)
    for name, content in (
        ("leaf.cose", data),
        ("record.tlog-proof", tlog_proof.write(index, [], note).encode()),
        ("elements.cbor", codec.to_bytes(Shown(elements=(element,)))),
        (f"{shown}.json", plain_view("gap", shown, OPENED.content)),
    ):
        (folder / name).write_bytes(content)


def found(folder: Path) -> list[str]:
    report = UnitReport()
    note = tlog_proof.parse((folder / "record.tlog-proof").read_text()).checkpoint
    about, _leaf, _opened = _record(folder, 0, KEY, report, note)
    assert about >= {"leaf.cose", "record.tlog-proof", "elements.cbor"}
    return [f"{one.where}: {one.what}" for one in report.findings]


def test_a_record_that_is_whole_is_not_a_finding_and_one_changed_plain_file_is(tmp_path: Path) -> None:
    put(tmp_path)
    assert found(tmp_path) == []
    (tmp_path / "entry.json").write_bytes(b"{}")
    assert found(tmp_path) == ["record 0, entry: the plain file differs from the record"]


@pytest.mark.parametrize(
    ("leaf", "index"),
    [(replace(LEAF, sequence=1), 0), (LEAF, 1), (replace(LEAF, log_id=bytes(32)), 0)],
    ids=["another number in the leaf", "another number in the proof", "another log"],
)
def test_leaf_proof_and_folder_name_one_record_of_one_log(tmp_path: Path, leaf: Leaf, index: int) -> None:
    put(tmp_path, leaf, index=index)
    with pytest.raises(ProofError, match="record 0: is not the record that its folder names"):
        found(tmp_path)


@pytest.mark.parametrize(("shown", "salt"), [("other", b""), ("entry", bytes(32))])
def test_an_element_that_the_leaf_does_not_commit_to_is_found(
    tmp_path: Path, shown: str, salt: bytes
) -> None:
    put(tmp_path, shown=shown, salt=salt)
    assert found(tmp_path) == [f"record 0, {shown}: is not what the signed record holds"]


def test_a_leaf_of_another_key_or_tree_is_refused(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "leaf.cose").write_bytes(LEAF.sign(Ed25519PrivateKey.generate()))
    with pytest.raises(StorageError, match="signed by another key"):
        found(tmp_path)
    (tmp_path / "leaf.cose").write_bytes(replace(LEAF, epoch=2).sign(PRIVATE))
    with pytest.raises(ProofError, match="leads to another root"):
        found(tmp_path)


def test_a_record_is_proven_under_the_packages_own_tree_head(tmp_path: Path) -> None:
    """A stolen log key can sign a tree head for any record, but the co-signed anchor belongs to one tree."""
    put(tmp_path)
    with pytest.raises(ProofError, match="is not proven under the package's tree head"):
        _record(tmp_path, 0, KEY, UnitReport(), sign_checkpoint(Checkpoint(KEY.name, 1, bytes(32)), PRIVATE))


def test_a_folder_is_a_package_by_its_signed_head(tmp_path: Path) -> None:
    assert not is_package(tmp_path)
    (tmp_path / "package.cose").mkdir()
    assert not is_package(tmp_path)
    (tmp_path / "package.cose").rmdir()
    (tmp_path / "package.cose").touch()
    assert is_package(tmp_path)
