"""A department's package, unpacked and signed again by a person with the log key."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import codec, envelope
from storage.evidence import sums
from sync.department.content import cover_sheet, package
from sync.department.content.zipped import write_zip
from sync.department.desk import sheet_people


@contextmanager
def earlier_program(version: int) -> Iterator[None]:
    """Make packages in the format before full names, with a sheet of this version."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "FORMAT", package.NO_NAMES)
        patch.setattr(cover_sheet, "SheetFacts", partial(cover_sheet.SheetFacts, version=version))
        for name in ("of_export", "of_delivery"):
            patch.setattr(sheet_people, name, lambda *_asked: ())
        yield


def unpacked(data: bytes) -> dict[str, bytes]:
    """The files in a package, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def signed_again(files: dict[str, bytes], key: Ed25519PrivateKey, **changes: Any) -> bytes:
    """A package of these files, with a head that lists them all; `changes` replaces fields of the head."""
    left = {name: data for name, data in files.items() if name not in {package.HEAD, "SHA256SUMS"}}
    signed = envelope.open_signed(
        files[package.HEAD], key.public_key(), context=package.CONTEXT, limit=16 << 20
    )
    listed = tuple((name, hashlib.sha256(left[name]).digest()) for name in sorted(left))
    head = replace(codec.from_bytes(package.PackageHead, signed, limit=16 << 20), files=listed, **changes)
    left["SHA256SUMS"] = sums(listed)
    left[package.HEAD] = envelope.sign(codec.to_bytes(head), key, context=package.CONTEXT)
    return write_zip(left)
