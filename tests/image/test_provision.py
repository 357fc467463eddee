"""A card is written only with --write, completely, and read back; anything else than a card is refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from alpr_image import provision
from alpr_image.__main__ import main
from alpr_image.workshop import BuildError

CARD_BYTES = 300 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    made = tmp_path / "card.img"
    made.write_bytes(os.urandom(5 << 20))
    return made


@pytest.fixture
def card(tmp_path: Path) -> Path:
    made = tmp_path / "card"
    with made.open("wb") as file:
        file.truncate(CARD_BYTES)
    return made


def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *words: str) -> int:
    monkeypatch.setenv("ALPR_IMAGE_WORK", str(tmp_path / "work"))
    monkeypatch.setattr("sys.argv", ["alpr_image", "provision", *words])
    return main()


@pytest.mark.thorough
@pytest.mark.one_python
def test_plan_writes_nothing(
    image: Path,
    card: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert asked(monkeypatch, tmp_path, str(card), "--image", str(image)) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert not any(card.read_bytes())


def test_card_holds_what_was_written(
    image: Path,
    card: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert asked(monkeypatch, tmp_path, str(card), "--image", str(image), "--write") == 0
    assert card.read_bytes()[: 5 << 20] == image.read_bytes()
    assert hashlib.sha256(image.read_bytes()).hexdigest() in capsys.readouterr().out


def test_card_of_another_size_or_no_card_is_refused(
    image: Path, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.write_bytes(bytes(1 << 20))
    with pytest.raises(BuildError, match="at least 274 MB"):
        provision.plan(small, image)
    monkeypatch.setattr(provision, "MAX_BYTES", CARD_BYTES - 1)
    with pytest.raises(BuildError, match="at most 315"):
        provision.plan(card, image)
    with pytest.raises(BuildError, match="neither a card"):
        provision.plan(Path("/dev/null"), image)
    with pytest.raises(BuildError, match="nowhere"):
        provision.plan(tmp_path / "nowhere", image)


def test_card_that_reads_back_other_data_is_named(
    image: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worn card accepts every byte and stores another."""
    spoilt = bytes([image.read_bytes()[7] ^ 1])
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.pwrite(descriptor, spoilt, 7))
    with pytest.raises(BuildError, match="reads back other data"):
        provision.write(provision.plan(card, image))


def test_what_cannot_be_undone_is_reported_and_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(monkeypatch, tmp_path, "--secure-boot", "rpi") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "IRREVERSIBLE" in line]) == 2
    assert lines[-1].endswith("must not start")
