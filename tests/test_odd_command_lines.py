"""Both programs answer a bad value of any option with one plain line, status 2 and no text of Python's.

Each option and argument of every command is filled with garbage, one at a time, with plausible values for the
others. A bad value is misuse (2); bad content in a file, or a missing file, may have a status of its own.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from firmware.cli import PROGRAM as READER
from firmware.cli import main as reader
from sync.command_frame import Program, Verb
from sync.department.cli import PROGRAM as DEPARTMENT
from sync.department.cli import main as department
from sync.errors import DONE, FOUND_WRONG, MISUSE, PART_LACKING

ENDLESS = {"reader run", "reader console", "reader selftest", "department serve", "department keys serve",
           "department witness serve"}  # fmt: skip
PYTHON_WORDS = (
    "Traceback", "is not a valid", "codec", "Errno", "invalid literal", "could not convert", "surrogate",
    "NoneType", "object has no", "Error(", "Error:", " b'", "=b'", "(b'", "<=x", "x>=", "\x1b",
)  # fmt: skip
NUMBERS = ("x", "", "1e400", "nan")
TEXTS = ("\x1b[2J", "x" * 5000)
# Every seventh of 2,900 lines covers each command, and each kind of value many times (an option has five or
# six). ALPR_FAULTS=full tries them all.
STRIDE = 1 if os.environ.get("ALPR_FAULTS") == "full" else 7


@dataclass(frozen=True, slots=True)
class Line:
    """A command line with one odd value. `misuse`: no command can use that value."""

    program: Program
    main: Callable[[Sequence[str]], int]
    command: tuple[str, ...]
    words: tuple[str, ...]
    misuse: bool


def verbs(program: Program) -> Iterator[tuple[tuple[str, ...], Verb]]:
    """Yield every command of a program with the words that name it."""

    def walk(
        command: click.Command, words: tuple[str, ...], context: click.Context
    ) -> Iterator[tuple[tuple[str, ...], Verb]]:
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from walk(inner, (*words, name), click.Context(inner, parent=context, info_name=name))
        else:
            assert isinstance(command, Verb)
            yield words, command

    yield from walk(program, (), click.Context(program, info_name=program.program))


def odd_values(parameter: click.Parameter, files: Sequence[str]) -> list[tuple[str, bool]]:
    """Odd values for one parameter, as (value, whether it is misuse)."""
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return [("no-such-choice", True), ("\x1b[2J", True)]
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        odd = NUMBERS if isinstance(kind, click.types.IntParamType) else NUMBERS[:2]
        return [*((one, True) for one in odd), ("9" * 30, False)]
    if isinstance(kind, click.Path):
        return [(one, False) for one in files]
    return [("\udcff", True), *((one, False) for one in (*TEXTS, *files[:3]))]


def plausible(parameter: click.Parameter, text_file: str) -> str:
    """A value of the right type."""
    if isinstance(parameter.type, click.Choice):
        return str(next(iter(parameter.type.choices)))
    if isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType):
        return "1"
    return text_file if isinstance(parameter.type, click.Path) else "x"


def lines(folder: Path) -> Iterator[Line]:
    """Yield every command line to try; their files are made in `folder`."""
    (folder / "noise").write_bytes(bytes(range(128, 256)) * 4)
    (folder / "empty").write_bytes(b"")
    (folder / "folder").mkdir()
    (folder / "text").write_text("x = \n")
    files = [str(folder / name) for name in ("noise", "empty", "folder", "absent", "text")]
    for program, main in ((READER, reader), (DEPARTMENT, department)):
        for words, command in verbs(program):
            if " ".join((program.program, *words)) in ENDLESS:
                continue
            valued = [one for one in command.params if not (isinstance(one, click.Option) and one.is_flag)]
            for parameter in valued:
                for odd, misuse in odd_values(parameter, files):
                    line = ["--home", str(folder / "home"), *words]
                    for one in valued:
                        if one is parameter or one.required:
                            value = odd if one is parameter else plausible(one, files[-1])
                            line += [one.opts[0], value] if isinstance(one, click.Option) else [value]
                    yield Line(program, main, words, tuple(line), misuse)


def sample(every: Iterator[Line]) -> Iterator[Line]:
    """Every STRIDE-th line of each command; the first one differs from command to command."""
    commands = itertools.groupby(every, key=lambda one: (one.program.program, one.command))
    for number, (_, several) in enumerate(commands):
        of_one = list(several)
        yield from of_one[number % min(STRIDE, len(of_one)) :: STRIDE]


def wrong_with(line: Line, status: int, said: str, *, found: bool) -> str:
    """What is wrong with an answer; "" if nothing. `found`: it lists what a check found, one per line."""
    if status not in {DONE, FOUND_WRONG, MISUSE, PART_LACKING}:
        return f"status {status}"
    if line.misuse and status != MISUSE:
        return f"status {status} for misuse"
    if status != DONE and not found and len(said.strip().splitlines()) != 1:
        return "not one line"
    return next((f"says {word!r}" for word in PYTHON_WORDS if word in said), "")


@pytest.mark.slow
def test_every_odd_value_is_answered_in_one_plain_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    wrong: list[str] = []
    tried = 0
    for line in sample(lines(tmp_path)):
        status = line.main(line.words)
        told = capsys.readouterr()
        listed = "" if told.err or status != FOUND_WRONG else told.out  # overdue things are listed there
        said = told.err or listed
        tried += 1
        if flaw := wrong_with(line, status, said, found=bool(listed)):
            wrong.append(f"{line.program.program} {' '.join(line.words[2:])[:100]!r}: {flaw}: {said[:200]}")
    assert tried > 2500 / STRIDE
    assert wrong == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("read", "x.jpg", "--threads", "x"), "'x' is not a whole number"),
        (("read", "x.jpg", "--threads", "99"), "99 is not within 1 to 8"),
        (("verify", "--key", "\udcff"), "is not UTF-8 text"),
        (("init", "--slot", "nowhere"), "neither file:NAME nor loopback:/PATH nor tpm:INDEX"),
    ],
)
def test_what_is_wrong_with_a_value_is_reported_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert reader(["--home", str(tmp_path), *words]) == MISUSE
    assert said in capsys.readouterr().err


def test_for_a_folder_that_is_not_a_home_no_one_is_sent_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reader(["verify", str(tmp_path)]) == MISUSE
    said = capsys.readouterr().err
    assert "neither a unit's home" in said
    assert "init" not in said
