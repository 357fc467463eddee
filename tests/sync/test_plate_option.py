"""A plate can be kept off the command line, which the shell records and every user can read."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import click
import pytest

from firmware.cli import PROGRAM as READER
from sync.command_frame import Program
from sync.department.cli import PROGRAM as DEPARTMENT
from sync.plate_option import HELP, PLATE


def options_of(command: click.Command) -> Iterator[click.Option]:
    """The options of a command and all its verbs."""
    yield from (one for one in command.params if isinstance(one, click.Option))
    for verb in command.commands.values() if isinstance(command, click.Group) else ():
        yield from options_of(verb)


@pytest.mark.parametrize(
    "program", [pytest.param(READER, id="reader"), pytest.param(DEPARTMENT, id="department")]
)
def test_every_option_that_takes_a_plate_asks_for_it_at_a_dash(program: Program) -> None:
    context = click.Context(program)
    commands = [program.get_command(context, name) for name in program.table]
    found = [one for each in commands if each for one in options_of(each) if "--plate" in one.opts]
    assert {(one.type, (one.help or "").endswith(HELP)) for one in found} == {(PLATE, True)}


def test_a_dash_takes_a_line_of_standard_input_and_anything_else_is_the_plate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" 8XYZ123 \n7ABC001\n"))
    said = [PLATE.convert(one, None, None) for one in ("-", "9WLD4*", "-")]
    assert said == ["8XYZ123", "9WLD4*", "7ABC001"]
    with pytest.raises(click.BadParameter, match="nothing came"):
        PLATE.convert("-", None, None)


def test_a_shell_that_completes_the_line_is_asked_for_no_plate() -> None:
    completing = click.Context(click.Command("query"), resilient_parsing=True)
    assert PLATE.convert("-", None, completing) == "-"
