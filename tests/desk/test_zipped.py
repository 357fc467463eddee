"""A ZIP from outside is bounded, and every kind of damage gets a plain refusal."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
import zipfile
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import PackageError
from sync.department.content.zipped import names_in, read_zip, write_zip


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


def test_the_same_files_are_the_same_bytes_whatever_python_writes_them() -> None:
    """`verify` compares a package with what it would write itself, years later and on another system."""
    written = write_zip({"reads/0/\u00e9.bin": bytes(300), "a.txt": b"one"})
    assert sha256(written).hexdigest() == "f77492b7885bb4623c8ee0a6fd87cfba55e6e7a82ba545000e033c1103bc1344"


def test_a_small_file_that_swells_is_refused_before_it_does() -> None:
    limits = {"where": "package", "most_files": 9, "most_bytes": 1 << 32}
    swollen = zipped(reads=bytes(4 << 20))
    assert len(swollen) < 8192
    tracemalloc.start()
    with pytest.raises(PackageError, match="is compressed"):
        read_zip(swollen, stored=True, **limits)  # type: ignore[arg-type]
    with pytest.raises(PackageError, match="expands too much"):
        read_zip(swollen, **limits)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    whole = write_zip({"reads": bytes(4 << 20)})
    assert read_zip(whole, stored=True, **limits) == {"reads": bytes(4 << 20)}  # type: ignore[arg-type]
    twice = bytearray(write_zip({f"{number}": bytes(100_000) for number in range(4)}))
    at = twice.find(b"PK\x01\x02")
    for _ in range(4):  # each central entry points to the same file
        twice[at + 42 : at + 46] = bytes(4)
        at = twice.find(b"PK\x01\x02", at + 4)
    with pytest.raises(PackageError):
        read_zip(bytes(twice), stored=True, **limits)  # type: ignore[arg-type]


def test_more_files_or_bytes_than_allowed_are_refused() -> None:
    for data in (zipped(a=b"1", b=b"2", c=b"3"), zipped(a=bytes(2001))):
        with pytest.raises(PackageError, match="too large"):
            read(data)


@pytest.mark.one_python
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


def test_one_turned_bit_in_a_file_names_that_file_and_a_name_from_outside_moves_no_cursor() -> None:
    whole = write_zip({"image.jpg": b"PICTURE", "\x1b[2J" + "n" * 300: b"OTHER"})
    for content, named in ((b"PICTURE", "'image.jpg'"), (b"OTHER", r"'\x1b[2Jnnn")):
        at = whole.index(content)
        with pytest.raises(PackageError, match="is damaged, or was cut") as refused:
            read(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert named in str(refused.value)
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 250


def test_a_damaged_stream_is_refused_by_the_name_of_its_file() -> None:
    start = WHOLE.index(b"facts") + len(b"facts")
    with pytest.raises(PackageError, match=r"its file 'facts.*' is damaged, or was cut"):
        read(WHOLE[:start] + b"\xff" * 8 + WHOLE[start + 8 :])
