"""`make bench` measures what the reader does, and names a source that is not one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tools import bench


@pytest.mark.thorough
def test_the_bench_shows_every_stage_and_a_ratio_above_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--frames", "4", "--rounds", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["width"], one["small_stream"]) for one in told["sizes"]] == [
        (1280, False),
        (1280, True),
        (1920, False),
    ]
    for one in told["sizes"]:
        assert one["frames"] == 4
        assert one["plates_read"] > 0
        assert set(one["ms"]) == {"shrink", "find", "decode", "rectify", "read", "text", "track"}
        assert 0 < sum(one["ms"].values()) <= one["whole_ms"] * 1.001
        assert one["ratio"] > 1


@pytest.mark.thorough
@pytest.mark.one_python
def test_a_camera_with_a_small_stream_reads_the_same_plates(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--frames", "6", "--rounds", "1", "--json"]) == 0
    large, small, _ = json.loads(capsys.readouterr().out)["sizes"]
    assert small["plates_read"] == large["plates_read"]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_source_without_pictures_is_a_usage_error(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert bench.main(["--source", str(tmp_path / name)]) == 2
    assert "give a folder of pictures" in capsys.readouterr().err
