"""Finds a program of the operating system and runs it without a shell, with a time limit."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hw.errors import MissingDriverError, NotEndedError, PartFailedError


def find(program: str, cure: str, search_path: str | None = None) -> str:
    """The program's path. search_path: where to look, by default the PATH. Raises MissingDriverError."""
    found = shutil.which(program, path=search_path)
    if found is None:
        raise MissingDriverError(f"{program} not found on this machine: {cure}")
    return found


def is_there(program: str, search_path: str | None = None) -> bool:
    """Whether this machine has the program. search_path: see `find`."""
    return shutil.which(program, path=search_path) is not None


def run(
    *command: str, limit_s: float, given: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever its status. given: standard input. Raises PartFailedError; after limit_s
    NotEndedError."""
    name = Path(command[0]).name
    try:
        return subprocess.run(  # noqa: S603 - a fixed program, words as they are, no shell
            command, input=given, env=env, capture_output=True, text=True, errors="replace",
            timeout=limit_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotEndedError(f"{name} did not end in {limit_s:g} s") from None
    except OSError as error:
        raise PartFailedError(f"{name}: {error.strerror}") from None
