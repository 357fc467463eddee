"""A truncated settings or policy file is refused wherever it ends; missing parts do not become defaults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.errors import ConfigError
from firmware.settings.config import Config, config_text, parse_config
from storage.errors import RecordError
from storage.text_end import END, ENDS
from sync.department.ground.settings import Settings, load_settings, settings_text
from sync.department.policy.policy_file import default_document, parse_policy
from sync.errors import InvalidInputError


def _unit(text: str, _: Path) -> object:
    return parse_config(text, "config.toml")


def _department(text: str, folder: Path) -> object:
    path = folder / "department.toml"
    path.write_text(text)
    return load_settings(path)


def _policy(text: str, _: Path) -> object:
    return parse_policy(text.encode())


Load = Callable[[str, Path], object]
FILES = [
    pytest.param(_unit, config_text(Config()), id="config.toml"),
    pytest.param(_department, settings_text(Settings(code_hours=48)), id="department.toml"),
    pytest.param(_policy, default_document().decode(), id="policy.toml"),
]
REFUSED = (ConfigError, RecordError, InvalidInputError)


@pytest.mark.parametrize(("load", "text"), FILES)
def test_a_file_that_was_cut_at_any_place_is_refused(load: Load, text: str, tmp_path: Path) -> None:
    assert text.startswith(ENDS + "\n")
    assert text.endswith(END + "\n")
    assert load(text[:-1], tmp_path) == load(text, tmp_path)  # nothing is missing
    for length in range(len(text) - 1):
        with pytest.raises(REFUSED):
            load(text[:length], tmp_path)


@pytest.mark.parametrize(("load", "text"), FILES)
def test_a_key_that_follows_a_cut_in_the_first_line_does_not_make_it_whole(
    load: Load, text: str, tmp_path: Path
) -> None:
    rest = text.removeprefix(ENDS)
    with pytest.raises(REFUSED, match="was cut: it ends within its first line"):
        load(ENDS[:40] + rest, tmp_path)
    load("#" + rest, tmp_path)  # another comment


@pytest.mark.parametrize(("load", "text"), FILES)
def test_an_earlier_file_that_says_how_it_ends_below_its_header_is_still_held_to_it(
    load: Load, text: str, tmp_path: Path
) -> None:
    earlier = text.replace(f"{ENDS}\n", f"# A header.\n# Of two lines.\n{ENDS}\n", 1)
    assert load(earlier, tmp_path) == load(text, tmp_path)
    with pytest.raises(REFUSED, match="was cut"):
        load(earlier.removesuffix(END + "\n"), tmp_path)
    for kept in (0, 1, 2):
        with pytest.raises(REFUSED, match=r"is empty|has no key"):
            load("".join(earlier.splitlines(keepends=True)[:kept]), tmp_path)


@pytest.mark.parametrize(("load", "text"), FILES)
def test_a_file_of_comments_alone_is_refused_with_a_cure(load: Load, text: str, tmp_path: Path) -> None:
    for comments in (
        "# A comment.\n",
        "# One.\n\n# Two.\n",
        "# One.\n[camera]\n",
        f"{ENDS}\n# One.\n{END}\n",
    ):
        with pytest.raises(REFUSED, match="has no key") as refused:
            load(comments, tmp_path)
        assert "restore it from a copy" in str(getattr(refused.value, "cure", "")) + str(refused.value)


@pytest.mark.parametrize(("load", "text"), FILES)
def test_a_setting_behind_the_end_is_refused_with_its_line(load: Load, text: str, tmp_path: Path) -> None:
    """Otherwise a later truncation could remove it, and the file would still pass."""
    line = text.count("\n") + 2
    with pytest.raises(REFUSED, match=f"line {line} comes after the line '{END}'") as refused:
        load(f"{text}\ncode_hours = 48\n", tmp_path)
    assert "above that line" in str(getattr(refused.value, "cure", "")) + str(refused.value)
    assert load(f"{text}\n  # another remark\n\n{END}\n", tmp_path) == load(text, tmp_path)


@pytest.mark.parametrize("end", ["", "\n", "\r\n\r\n"])
@pytest.mark.parametrize("load", [_department, _policy])
def test_a_key_that_is_given_twice_is_named_with_its_line(load: Load, end: str, tmp_path: Path) -> None:
    with pytest.raises(REFUSED, match="line 3: code_hours is given twice"):
        load(f"code_hours = 24\n# later\ncode_hours = 48{end}", tmp_path)
