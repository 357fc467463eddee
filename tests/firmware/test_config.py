"""The configuration: every field has a type, a range and an explanation; errors name the field."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import ConfigError
from firmware.settings.config import (
    FILE_NAME,
    Config,
    UnitSettings,
    config_text,
    load_config,
    overlaid,
    parse_config,
    rewrite_config,
    write_config,
)
from storage.text_end import ENDS
from sync.toml_settings import write_sections


def test_written_configuration_reads_back_as_the_default(tmp_path: Path) -> None:
    path = write_config(tmp_path, Config())
    assert load_config(tmp_path) == Config()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("draft", ["config.toml.new", "config.partial"])
def test_a_folder_in_the_place_of_a_draft_keeps_no_setting_from_being_written(
    tmp_path: Path, draft: str
) -> None:
    path = write_config(tmp_path, Config())
    path.chmod(0o644)
    (tmp_path / draft).mkdir()
    rewrite_config(tmp_path, config_text(Config(unit=UnitSettings(name="car-12"))))
    assert load_config(tmp_path).unit.name == "car-12"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_was_saved_on_windows_is_read(tmp_path: Path) -> None:
    text = write_config(tmp_path, Config()).read_text()
    (tmp_path / FILE_NAME).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_config(tmp_path) == Config()


def test_a_file_that_was_cut_between_two_lines_is_not_taken_for_a_shorter_one(tmp_path: Path) -> None:
    """Otherwise missing settings would count as their defaults."""
    path = write_config(tmp_path, Config())
    lines = path.read_text().splitlines(keepends=True)
    for kept in range(1, len(lines)):
        path.write_text("".join(lines[:kept]))
        with pytest.raises(
            ConfigError, match="was cut: the line '# end of the file' is not there"
        ) as refused:
            load_config(tmp_path)
        assert "restore it from a copy" in str(refused.value)
    path.write_text("".join(lines[:-1]).replace(ENDS, ""))  # made by hand or by an earlier version
    assert load_config(tmp_path) == Config()


def test_a_file_of_another_encoding_and_a_folder_or_a_pipe_in_its_place_say_what_to_do(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b'[unit]\nname = "caf\xe9"\n')
    with pytest.raises(ConfigError, match="not UTF-8: line 2: save the file as UTF-8"):
        load_config(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="is not a plain file: remove it"):
        load_config(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is not a plain file: remove it"):
        load_config(tmp_path)


def test_every_setting_stands_in_the_file_with_its_reason(tmp_path: Path) -> None:
    lines = write_config(tmp_path, Config()).read_text().splitlines()
    for section in dataclasses.fields(Config):
        for field in dataclasses.fields(getattr(Config(), section.name)):
            at = [n for n, line in enumerate(lines) if line.removeprefix("# ").startswith(f"{field.name} =")]
            assert any(field.metadata["why"] in lines[n - 1] for n in at), field.name


def test_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('[unit]\nname = "mine"\n')
    write_config(tmp_path, Config())
    assert load_config(tmp_path).unit.name == "mine"


def test_commented_examples_are_valid_settings() -> None:
    text = write_sections(Config())
    with_examples = "\n".join(
        line.removeprefix("# ") if " = " in line else line for line in text.splitlines()
    )
    config = parse_config(with_examples, "x.toml")
    assert config.site.latitude is not None
    assert config.camera.focus_dioptres is not None


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        pytest.param("[camera]\nexposure_ms = 1\n", "camera.exposure_ms", "unknown key", id="unknown key"),
        pytest.param("[cam]\nfps = 1\n", "cam", "unknown section", id="unknown section"),
        pytest.param("fps = 1\n", "fps", "unknown section", id="key outside a section"),
        pytest.param("camera = 1\n", "camera", "must be a section", id="section that is a value"),
        pytest.param("[camera]\nexposure_us = 20000\n", "camera.exposure_us", "outside 60 to", id="too high"),
        pytest.param("[camera]\nexposure_us = 1\n", "camera.exposure_us", "50 km/h", id="the reason is told"),
        pytest.param("[camera]\nfps = nan\n", "camera.fps", "outside", id="not a number"),
        pytest.param("[camera]\nfps = true\n", "camera.fps", "must be a number", id="true is not a number"),
        pytest.param("[camera]\nwidth = 1920.0\n", "camera.width", "whole number", id="1920.0 is not whole"),
        pytest.param('[camera]\nwidth = "1920"\n', "camera.width", "whole number", id="text for a number"),
        pytest.param("[unit]\nname = 7\n", "unit.name", "text in quotes", id="number for a text"),
        pytest.param('[unit]\nname = "a\\u0007"\n', "unit.name", "printable", id="a bell in a name"),
        pytest.param("[site]\nlatitude = 34.0\n", "site", "belong together", id="half a place"),
        pytest.param("[camera]\nwidth = 1921\n", "camera", "even", id="an odd width"),
        pytest.param("[camera]\nrotation = 90\n", "camera", "0 or 180", id="a camera on its side"),
        pytest.param('[sync]\nwindows = "22:60-05:30"\n', "sync", "time of day", id="minute 60 at the start"),
        pytest.param('[sync]\nwindows = "22:00-05:60"\n', "sync", "time of day", id="minute 60 at the end"),
        pytest.param('[sync]\nwindows = "22:00-25:00"\n', "sync", "write 22:00-05:30", id="hour 25"),
        pytest.param("[camera\n", "not TOML", "line 1", id="not TOML"),
        pytest.param("[camera]\nsource = /srv/drop\n", "not TOML", 'in "quotes"', id="no quotes"),
        pytest.param("[sync]\nonly_on_mains = True\n", "not TOML", "small letters", id="as in Python"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_key_and_reason(text: str, key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "/etc/x.toml")
    assert caught.value.key == key
    assert reason in caught.value.reason
    assert str(caught.value).startswith("/etc/x.toml: " + key)
    assert caught.value.exit_status == 2


def test_absent_file_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reader init"):
        load_config(tmp_path)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"# " + b"x" * 300_000])
def test_file_that_is_not_a_configuration_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(data)
    with pytest.raises(ConfigError):
        load_config(tmp_path)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_config(text, "x.toml"), Config)


@given(st.integers(60, 10_000), st.floats(1, 60), st.text(alphabet='ab"\\ é', max_size=20))
def test_values_in_range_survive_writing_and_reading(exposure_us: int, fps: float, name: str) -> None:
    config = Config()
    config = dataclasses.replace(
        config,
        camera=dataclasses.replace(config.camera, exposure_us=exposure_us, fps=fps),
        unit=dataclasses.replace(config.unit, name=name),
    )
    assert parse_config(write_sections(config), "x.toml") == config


def test_a_sent_text_of_what_differs_may_name_nothing() -> None:
    """A unit accepts it as before and loses none of its own settings."""
    own = Config(unit=UnitSettings(name="Car4"))
    assert overlaid(own, "# nothing differs\n", "sent") == own
