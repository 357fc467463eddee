"""Sealed images as files: each is named by its digest in its epoch's folder, with nothing else there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.blobs import Blobs
from storage.errors import LedgerError
from storage.sealing import Sealed


def sealed(data: bytes) -> Sealed:
    return Sealed("patch", bytes(32), hashlib.sha256(data).digest(), data)


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[Blobs]:
    made = Blobs(tmp_path)
    yield made
    made.close()


def test_an_image_is_read_as_it_was_written_and_an_epoch_without_a_folder_has_none(blobs: Blobs) -> None:
    one, two = sealed(b"1"), sealed(b"2")
    assert (blobs.names(7), list(blobs.epochs()), blobs.drop(7)) == (set(), [], 0)
    blobs.put(7, [one, two])
    assert (blobs.names(7), list(blobs.epochs())) == ({one.digest.hex(), two.digest.hex()}, [7])
    assert (blobs.get(7, one.digest), blobs.path(7, one.digest).parent.name) == (b"1", "00000007")
    blobs.discard(7, [one])
    assert blobs.names(7) == {two.digest.hex()}
    with pytest.raises(LedgerError, match="a sealed image is missing"):
        blobs.get(7, one.digest)
    blobs.path(7, two.digest).write_bytes(b"3")
    with pytest.raises(LedgerError, match="a sealed image was altered"):
        blobs.get(7, two.digest)
    assert (blobs.drop(7), list(blobs.epochs())) == (1, [])


def test_what_is_not_an_epochs_folder_is_named_and_hides_no_epoch(blobs: Blobs) -> None:
    for name in ("1", "000000001", "0000000a", "notes.txt", "00000007"):
        (blobs.folder / name).mkdir()
    (blobs.folder / "00000001").touch()
    assert sorted(blobs.foreign()) == sorted(["00000001", "000000001", "0000000a", "1", "notes.txt"])
    assert list(blobs.epochs()) == [7]


def test_strays_are_moved_and_a_folder_goes_once_it_is_empty(blobs: Blobs, tmp_path: Path) -> None:
    one, two = sealed(b"1"), sealed(b"2")
    blobs.put(7, [one, two])
    into = tmp_path.parent / "strays" / "7"
    assert blobs.set_aside(7, {one.digest.hex()}, into) == 1
    assert (blobs.names(7), [path.name for path in into.iterdir()]) == (
        {two.digest.hex()},
        [one.digest.hex()],
    )
    assert blobs.set_aside(7, set(), into) == 0
    assert blobs.names(7)
    assert blobs.set_aside(7, {two.digest.hex()}, into) == 1
    assert (list(blobs.epochs()), blobs.set_aside(7, set(), into)) == ([], 0)
