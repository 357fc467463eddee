"""Finds the command lines that a page shows, and says what the program would refuse in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from firmware.cli import PROGRAM as READER
from sync.department.cli import PROGRAM as DEPARTMENT

PROGRAMS = {"reader": READER, "department": DEPARTMENT}
_FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (\S.*)$", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_COMMAND = re.compile(
    r"(?:\$ )?(?:sudo (?:-u \S+ )?)?(?:\w+=\S+ )*(?:\S*/)?(reader|department) +((?=[a-z-]).*)", re.DOTALL
)
_ENDS = re.compile(r"^(\||\|\||&&|;|&|\d?>{1,2}.*|<)$")  # what ends a command in a line of shell


def command_lines(page: str) -> Iterator[tuple[str, str]]:
    """Yield (program, rest of the line) for each command that a page shows, in blocks and in sentences."""
    page = re.sub(r"\\\n\s*", "", page)  # join continued lines
    blocks = [line for block in _FENCED.findall(page) for line in block.splitlines()]
    rest = _FENCED.sub("", page)
    blocks += _INDENTED.findall(rest)
    for line in (*blocks, *(" ".join(one.split()) for one in _INLINE.findall(rest))):
        found = _COMMAND.fullmatch(line.strip())
        if found is not None:
            yield found[1], found[2]


def refused(program: str, line: str) -> str:
    """What the program would refuse in a command line; "" if nothing.

    Only a line with at least two values must be a complete command; a shorter one may just name an option.
    """
    words = _words(line)
    command: click.Command = PROGRAMS[program]
    context = click.Context(command, info_name=program, **command.context_settings)
    try:
        while isinstance(command, click.Group):
            given, words, _ = command.make_parser(context).parse_args(words)
            if not words:
                return ""
            name, *words = words
            inner = command.get_command(context, name)
            if inner is None:
                return f"no command {name}"
            command = inner
            context = click.Context(inner, parent=context, info_name=name, **inner.context_settings)
        given, rest, _ = command.make_parser(context).parse_args(words)
    except click.BadOptionUsage as error:
        return "" if "requires an argument" in error.message else error.format_message()
    except click.ClickException as error:
        return error.format_message()
    values = [one for one in given.values() if one and one is not True]
    if len(values) < 2 or "..." in line or "$" in line:
        return ""
    lacks = [one.opts[0] for one in command.params if one.required and not given.get(one.name or "")]
    return f"lacks {', '.join(lacks)}" if lacks else f"does not take {rest}" if rest else ""


def _words(line: str) -> list[str]:
    """The words of the first command in a line of shell; prose may follow it after two spaces."""
    words: list[str] = []
    for word in shlex.split(re.split(r"\s{2,}", line.strip())[0] if "  " in line else line, comments=True):
        if _ENDS.match(word):
            break
        words.append(word.removesuffix(";"))
        if word.endswith(";"):
            break
    return words
