"""The tutorial's commands, typed exactly as shown, print what the tutorial shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "firmware" / "TUTORIAL.md"
MARK = "-- command {} --"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Step:
    """A command and the lines that it should print."""

    command: str
    shown: tuple[str, ...]


def steps(page: str) -> list[Step]:
    """Every `$ command` in the console blocks, with the lines below it."""
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            found.append(Step(command, tuple(shown)))
    return found


def pattern_of(shown: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern for the expected lines: `...` in a line matches any text; alone on a line, any lines."""
    lines = [
        r"(?:[^\n]*\n)*?" if line == "..." else ".*?".join(map(re.escape, line.split("..."))) + r" *\n"
        for line in shown
    ]
    return re.compile("".join(lines))


@pytest.mark.thorough
def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("reader", "firmware.cli"), ("department", "sync.department.cli")):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        path.chmod(0o755)
    place = tmp_path / "alpr"
    place.mkdir()
    (place / "clip").symlink_to(ROOT / "tests" / "replay" / "drive_by")
    page = TUTORIAL.read_text(encoding="utf-8")
    for fixed, free in zip(("8563", "8564"), map(str, free_ports(2)), strict=True):
        page = page.replace(fixed, free)
    known = steps(page)
    assert len(known) > 15
    script = "".join(f"echo '{MARK.format(number)}'\n{step.command}\n" for number, step in enumerate(known))
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_HOME")}
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", script],
        cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    printed = re.split(r"^-- command \d+ --\n", done.stdout, flags=re.MULTILINE)[1:]
    assert len(printed) == len(known), done.stderr
    for step, text in zip(known, printed, strict=True):
        assert pattern_of(step.shown).fullmatch(text), f"$ {step.command}\n{text}\n{done.stderr[-2000:]}"


def test_a_page_that_says_too_much_is_found_out() -> None:
    assert pattern_of(("a ... c", "...", "end")).fullmatch("a b c\n1\n2\nend\n")
    assert not pattern_of(("a ... c", "end")).fullmatch("a b c\n1\nend\n")
    assert not pattern_of(("a", "b")).fullmatch("a\n")
    assert not pattern_of(()).fullmatch("a\n")
