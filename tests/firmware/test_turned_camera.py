"""An upside-down camera is remembered over restarts, but only that camera in that rotation."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.health.turned_camera import FILE, TurnedCamera
from firmware.run.prepared_home import prepare_home


def test_a_turned_camera_is_known_with_its_rotation_and_source_until_it_is_forgotten(tmp_path: Path) -> None:
    camera = TurnedCamera(tmp_path, "camera")
    camera.note(0, upside_down=True)
    assert not (tmp_path / FILE).exists()  # no unit here: a factory reset removed it
    prepare_home(tmp_path)
    camera.note(0, upside_down=True)
    other = TurnedCamera(tmp_path, "camera:1")
    assert not other.is_known(0)
    other.note(0, upside_down=False)
    assert [camera.is_known(rotation) for rotation in (0, 180, 0)] == [True, False, False]
    camera.note(180, upside_down=True)
    camera.note(180, upside_down=False)
    camera.note(180, upside_down=False)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("held", [b"", b"[" * 4000, b"{}" * 3000, bytes(9)])
def test_a_file_that_says_nothing_is_counted_again(tmp_path: Path, held: bytes) -> None:
    (tmp_path / FILE).write_bytes(held)
    assert not TurnedCamera(tmp_path, "camera").is_known(0)
