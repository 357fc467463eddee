"""The bench opens a data partition that cryptsetup made, with its secret and no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from alpr_image.bench.luks import Header
from alpr_image.workshop import BuildError
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

START = 1 << 20
TOKEN = {"type": "systemd-tpm2", "keyslots": ["0"], "tpm2-blob": ""}


@pytest.fixture(params=[512, 4096])
def partition(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A card with a LUKS2 partition at START, as cryptsetup makes it."""
    alone, secret = tmp_path / "alone", tmp_path / "secret"
    with alone.open("wb") as file:
        file.truncate(32 << 20)
    secret.write_bytes(b"c2VjcmV0")
    made = ("luksFormat", "--type=luks2", "--batch-mode", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000")
    subprocess.run(
        ["cryptsetup", *made, f"--sector-size={request.param}", f"--key-file={secret}", str(alone)],
        check=True,
        capture_output=True,
    )
    card = tmp_path / "card"
    card.write_bytes(bytes(START) + alone.read_bytes())
    return card


def header_of(card: Path) -> Header:
    """The partition's header, with the token that systemd adds."""
    found = Header.of(card, START)
    return Header(found.path, found.start, {**found.held, "tokens": {"0": TOKEN}})


def test_partition_opens_with_its_secret_and_gives_its_content(partition: Path, tmp_path: Path) -> None:
    header = header_of(partition)
    key = header.volume_key(b"c2VjcmV0")
    segment = header.held["segments"]["0"]
    size, offset = int(segment["sector_size"]), START + int(segment["offset"])
    plain = bytes(range(256)) * (size // 256)
    number = 3
    tweak = (number * size // 512).to_bytes(16, "little")
    sealed = Cipher(algorithms.AES(key), modes.XTS(tweak)).encryptor().update(plain)
    with partition.open("r+b") as file:
        file.seek(offset + number * size)
        file.write(sealed)
    out = header.decrypt(key, offset + (1 << 20), tmp_path / "plain")
    assert out.read_bytes()[number * size : (number + 1) * size] == plain
    assert out.stat().st_size == 1 << 20


def test_another_secret_opens_nothing(partition: Path) -> None:
    with pytest.raises(BuildError, match="does not open"):
        header_of(partition).volume_key(b"c2VjcmV1")


def test_place_without_a_header_is_named(partition: Path) -> None:
    with pytest.raises(BuildError, match="no LUKS2 header"):
        Header.of(partition, 0)
