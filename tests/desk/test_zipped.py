"""A ZIP from outside is bounded, and every kind of damage is one plain refusal."""

from __future__ import annotations

import contextlib
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import PackageError
from sync.department.content.zipped import names_in, read_zip


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


WHOLE = zipped(head=b"signed " * 40, facts=bytes(range(256)) * 4)


def read(data: bytes) -> dict[str, bytes]:
    return read_zip(data, where="package", most_files=2, most_bytes=2000)


def test_files_come_out_by_name() -> None:
    assert read(WHOLE)["head"] == b"signed " * 40


def test_more_files_or_bytes_than_allowed_are_refused() -> None:
    for data in (zipped(a=b"1", b=b"2", c=b"3"), zipped(a=bytes(2001))):
        with pytest.raises(PackageError, match="too large"):
            read(data)


def test_every_turned_bit_gives_files_or_one_plain_refusal() -> None:
    for bit in range(8 * len(WHOLE)):
        damaged = bytearray(WHOLE)
        damaged[bit // 8] ^= 1 << bit % 8
        assert len(names_in(bytes(damaged))) <= 2
        with contextlib.suppress(PackageError):  # and nothing else
            assert len(read(bytes(damaged))) <= 2


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_gives_files_or_one_plain_refusal(at: int, by: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= by
    with contextlib.suppress(PackageError):  # and nothing else
        assert len(read(bytes(damaged))) <= 2


def test_a_damaged_stream_is_refused_as_no_zip() -> None:
    start = WHOLE.index(b"facts") + len(b"facts")
    with pytest.raises(PackageError, match="is not a ZIP"):
        read(WHOLE[:start] + b"\xff" * 8 + WHOLE[start + 8 :])
