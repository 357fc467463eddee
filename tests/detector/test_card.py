"""Cards: what is written is read back, and an error names file, key and reason."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from detector.card import DetectorCard, ReaderCard, card_text, checked_model
from detector.errors import CardError, MissingModelError, SwappedModelError

CONTENT = b"not really a net"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Sections = dict[str, dict[str, Any]]


def detector_sections() -> Sections:
    return {
        "model": {"kind": "plate-detector", "file": "d.tflite", "sha256": SHA256, "version": "1"},
        "input": {"name": "luma", "height": 432, "width": 768},
        "outputs": {"heat": "heat", "box": "box", "corners": "corners"},
        "find": {"threshold": 0.4, "most": 7},
        "provenance": {"command": 'make "train"\nall', "anything": [1, 2]},
    }


def reader_sections() -> Sections:
    return {
        "model": {"kind": "plate-reader", "file": "r.tflite", "sha256": SHA256},
        "input": {"height": 48, "width": 144},
        "outputs": {"columns": "columns", "jurisdiction": "state"},
        "patch": {"margin_x": 0, "second_look": False},
        "text": {"jurisdictions": ["US-CA", "EU"], "temperature": 1.5},
        "confidence": {"bias": -1.25, "posterior": 0.5},
    }


def written(folder: Path, sections: Sections) -> Path:
    path = folder / "card.toml"
    path.write_text(card_text(sections), encoding="utf-8")
    (folder / sections["model"]["file"].rpartition("/")[2]).write_bytes(CONTENT)
    return path


def test_a_written_detector_card_is_read_back(tmp_path: Path) -> None:
    card = DetectorCard.load(written(tmp_path, detector_sections()))
    assert (card.find.threshold, card.find.most, card.find.stride) == (0.4, 7, 4)
    assert (card.input.height, card.input.width) == (432, 768)
    assert checked_model(card.path, card.model) == CONTENT


def test_a_written_reader_card_is_read_back(tmp_path: Path) -> None:
    card = ReaderCard.load(written(tmp_path, reader_sections()))
    assert card.text.jurisdictions == ("US-CA", "EU")
    assert (card.patch.margin_x, card.patch.second_look) == (0.0, False)
    assert (card.confidence.bias, card.confidence.posterior, card.confidence.frames) == (-1.25, 0.5, 0.0)
    assert card.outputs == {"columns": "columns", "jurisdiction": "state"}


@pytest.mark.parametrize(
    ("section", "key", "value", "named"),
    [
        pytest.param("find", "treshold", 0.4, "find.treshold", id="misspelt key"),
        pytest.param("find", "threshold", 1.5, "find.threshold", id="out of range"),
        pytest.param("find", "threshold", "0.4", "find.threshold", id="text for a number"),
        pytest.param("find", "most", 2.5, "find.most", id="broken number for a whole one"),
        pytest.param("find", "most", True, "find.most", id="yes for a number"),
        pytest.param("outputs", "color", "c", "outputs.color", id="unknown output"),
        pytest.param("outputs", "heat", "", "outputs.heat", id="output without a name"),
        pytest.param("model", "sha256", SHA256.upper(), "model.sha256", id="hash in capitals"),
        pytest.param("model", "sha256", SHA256[1:], "model.sha256", id="hash cut short"),
        pytest.param("model", "file", "../d.tflite", "model.file", id="file elsewhere"),
        pytest.param("model", "kind", "plate-reader", "model.kind", id="card of the other net"),
        pytest.param("input", "height", 0, "input.height", id="no height"),
        pytest.param("finding", "threshold", 0.5, "finding", id="unknown section"),
    ],
)
def test_a_wrong_card_is_refused_by_its_key(
    tmp_path: Path, section: str, key: str, value: Any, named: str
) -> None:
    sections = detector_sections()
    sections.setdefault(section, {})[key] = value
    with pytest.raises(CardError) as caught:
        DetectorCard.load(written(tmp_path, sections))
    assert caught.value.field == named
    assert str(tmp_path / "card.toml") in str(caught.value)


@pytest.mark.parametrize("section", ["model", "input", "outputs"])
def test_a_missing_section_is_refused(tmp_path: Path, section: str) -> None:
    path = written(tmp_path, detector_sections())
    path.write_text(card_text({k: v for k, v in detector_sections().items() if k != section}))
    with pytest.raises(CardError):
        DetectorCard.load(path)


def test_jurisdictions_must_be_named_when_the_net_gives_them(tmp_path: Path) -> None:
    sections = reader_sections()
    sections["text"]["jurisdictions"] = []
    with pytest.raises(CardError, match="codes"):
        ReaderCard.load(written(tmp_path, sections))


@pytest.mark.parametrize("content", [b"[model\n", b"\xff\xfe", b"model = 3\n"])
def test_a_file_that_is_not_a_card_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.toml"
    path.write_bytes(content)
    with pytest.raises(CardError):
        DetectorCard.load(path)


def test_a_missing_card_is_named_as_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match="install"):
        DetectorCard.load(tmp_path / "none.toml")


def test_a_missing_model_file_is_named_as_missing(tmp_path: Path) -> None:
    card = DetectorCard.load(written(tmp_path, detector_sections()))
    (tmp_path / "d.tflite").unlink()
    with pytest.raises(MissingModelError, match=r"d\.tflite"):
        checked_model(card.path, card.model)


def test_a_swapped_model_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    card = DetectorCard.load(written(tmp_path, detector_sections()))
    (tmp_path / "d.tflite").write_bytes(CONTENT + b"!")
    with pytest.raises(SwappedModelError) as caught:
        checked_model(card.path, card.model)
    assert caught.value.expected == SHA256
    assert caught.value.found == hashlib.sha256(CONTENT + b"!").hexdigest()
