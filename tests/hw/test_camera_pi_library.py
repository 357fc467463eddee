"""A camera library that is missing or does not fit."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from hw.camera_pi import load_picamera2
from hw.errors import MissingDriverError


def test_absent_library_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(MissingDriverError, match=r"python3-picamera2.*install_pi\.sh.*camera\.source"):
        load_picamera2()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("import libcamera_that_is_not_there", "python3-picamera2", id="something it imports"),
        pytest.param(
            "raise ModuleNotFoundError(\"No module named 'libcamera'\", name='libcamera')",
            "python3-libcamera",
            id="libcamera",
        ),
        pytest.param("raise ModuleNotFoundError('no pykms', name='pykms')", r"python3-kms\+\+", id="kms++"),
        pytest.param(
            "raise ValueError('numpy.dtype size changed, may indicate binary incompatibility')",
            r"numpy\.dtype size changed.*numpy of the reader's own.*install_pi\.sh",
            id="apt's simplejpeg under a numpy of ours",
        ),
    ],
)
def test_a_library_that_does_not_load_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    (tmp_path / "picamera2.py").write_text(line + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    loaded: dict[str, types.ModuleType] = {
        name: module for name, module in sys.modules.items() if name.partition(".")[0] == "picamera2"
    }
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDriverError, match=said):
        load_picamera2()
