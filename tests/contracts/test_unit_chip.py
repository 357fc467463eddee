"""What every chip with a unit's key promises: the loopback twin, and a TPM (swtpm, where it is installed)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flipped import flip
from tpm_twin import software_tpm

from hw.errors import ChipFailedError, MissingDriverError
from hw.unit_chip import UnitChip, open_chip

Open = Callable[[], UnitChip]


def opened(uri: str) -> UnitChip:
    chip = open_chip(uri)
    assert chip is not None
    return chip


@pytest.fixture(scope="module")
def tcti(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with software_tpm(tmp_path_factory.mktemp("tpm")) as found:
        yield found


@pytest.fixture(params=["loopback", "tpm"])
def chip(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "tpm":
        found = request.getfixturevalue("tcti")
        return lambda: opened(f"tpm:0x1500ab1@{found}")
    return lambda: opened(f"loopback:{tmp_path}/chip")


def public(der: bytes) -> ec.EllipticCurvePublicKey:
    key = serialization.load_der_public_key(der)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_the_key_is_p256_and_the_same_in_the_next_process(chip: Open) -> None:
    der = chip().public_der()
    assert isinstance(public(der).curve, ec.SECP256R1)
    assert chip().public_der() == der


@pytest.mark.parametrize("size", [1, 32, 1024, 20_000])
def test_a_signature_holds_over_its_data_alone(chip: Open, size: int) -> None:
    data = bytes(range(256)) * 80
    signature = chip().sign(data[:size])
    key = public(chip().public_der())
    key.verify(signature, data[:size], ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(signature, data[:size] + b"x", ec.ECDSA(hashes.SHA256()))


def test_what_is_sealed_opens_in_the_next_process_and_shows_nothing(chip: Open) -> None:
    secret = b"a 32 byte secret of the TLS key."
    sealed = chip().seal(secret)
    assert secret not in sealed
    assert chip().unseal(sealed) == secret


def test_a_damaged_seal_is_refused(chip: Open) -> None:
    sealed = chip().seal(b"secret")
    for at in (len(sealed) // 3, len(sealed) - 1):
        damaged = flip(sealed, at)
        with pytest.raises(ChipFailedError):
            chip().unseal(damaged)
    with pytest.raises(ChipFailedError):
        chip().unseal(b"")


def test_another_chip_opens_nothing_and_is_another_unit(chip: Open, tmp_path: Path) -> None:
    other = opened(f"loopback:{tmp_path}/other")
    with pytest.raises(ChipFailedError):
        other.unseal(chip().seal(b"secret"))
    assert other.public_der() != chip().public_der()


@pytest.mark.parametrize("secret", [b"", bytes(65)])
def test_a_secret_that_is_too_long_or_nothing_is_refused(chip: Open, secret: bytes) -> None:
    with pytest.raises(ChipFailedError, match="1 to 64"):
        chip().seal(secret)


def test_a_file_slot_has_no_chip() -> None:
    assert open_chip("file:slot") is None


def test_a_machine_without_a_chip_says_so() -> None:
    with pytest.raises(MissingDriverError):
        opened("tpm:0x1500ab1@device:/dev/none").public_der()
