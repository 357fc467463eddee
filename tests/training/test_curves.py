"""The curves show what is in the log, whether complete or cut off."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

from detector.training import curves
from detector.training.curves import LogError, read_log, smoothed

LOG = "step,loss,seconds_a_step\n50,4.0,0.5\n100,2.0,0.5\n150,1.0,0.4\n"


def written(folder: Path, text: str) -> Path:
    (folder / "log.csv").write_text(text)
    return folder / "log.csv"


def test_a_log_is_read_by_name(tmp_path: Path) -> None:
    steps, values = read_log(written(tmp_path, LOG))
    assert steps == [50, 100, 150]
    assert values == {"loss": [4.0, 2.0, 1.0], "seconds_a_step": [0.5, 0.5, 0.4]}


def test_a_run_that_resumed_from_a_checkpoint_counts_the_later_row(tmp_path: Path) -> None:
    steps, values = read_log(written(tmp_path, LOG + "100,1.9,0.5\n"))
    assert steps == [50, 100, 150]
    assert values["loss"] == [4.0, 1.9, 1.0]


def test_half_a_row_at_the_end_is_left_out(tmp_path: Path) -> None:
    assert read_log(written(tmp_path, LOG + "200,0.")) == read_log(written(tmp_path, LOG))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("", "first column", id="empty"),
        pytest.param("step,loss\n", "nothing logged", id="a head alone"),
        pytest.param("step,loss\n50,x\n100,1\n", ":2", id="a value that is not a number"),
        pytest.param("step,loss\n50,1,2\n100,1\n", ":2", id="a row too long"),
    ],
)
def test_a_log_that_cannot_be_drawn_is_named(
    tmp_path: Path, text: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LogError, match=word):
        read_log(written(tmp_path, text))
    assert curves.main([str(tmp_path)]) == 2
    assert "log.csv" in capsys.readouterr().err


def test_a_run_without_a_log_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert curves.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_smoothing_keeps_ends_and_means() -> None:
    assert smoothed([1.0, 5.0, 3.0, 7.0], over=3) == [1.0, 3.0, 5.0, 7.0]


def test_the_picture_is_beside_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, LOG)
    if importlib.util.find_spec("matplotlib") is None:
        assert curves.main([str(tmp_path)]) == 3
        assert "extra 'train'" in capsys.readouterr().err
        return
    assert curves.main([str(tmp_path)]) == 0
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 200
