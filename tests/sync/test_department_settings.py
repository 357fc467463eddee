"""The department's settings file reads back as written, and each wrong line is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.department.ground.home import SETTINGS_FILE
from sync.department.ground.settings import Settings, load_settings, settings_text
from sync.errors import InvalidInputError


@pytest.mark.parametrize(
    ("line", "named"),
    [
        pytest.param("keep_forever = true", "unknown key; the file has name, host", id="unknown"),
        pytest.param("keep_days = 30", "unknown key", id="days of retention, which only the policy names"),
        pytest.param('unit_port = "8463"', "must be a whole number", id="mistyped"),
        pytest.param("unit_port = 70000", "outside 0 to 65535", id="out of range"),
        pytest.param("unit_port = ", "not TOML", id="torn"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, line: str, named: str) -> None:
    path = tmp_path / SETTINGS_FILE
    path.write_text(line + "\n")
    with pytest.raises(InvalidInputError, match=named) as refused:
        load_settings(path)
    assert str(path) in str(refused.value)


def test_the_settings_of_an_older_department_are_taken(tmp_path: Path) -> None:
    path = tmp_path / SETTINGS_FILE
    written = settings_text(Settings(unit_port=1))
    path.write_text(written.replace("unit_port = 1\n", "unit_port = 1\nkeep_days = 365\n"))
    assert "keep_days" in path.read_text()
    assert load_settings(path) == Settings(unit_port=1)


def test_settings_are_written_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / SETTINGS_FILE
    settings = Settings(name='The "Blue" \\ Department', host="example.org", unit_port=1)
    path.write_text(settings_text(settings))
    assert load_settings(path) == settings
