"""Pages made from a program's commands: manual pages (roff, section 1) and a Markdown reference.

python -m sync.command_pages reader FOLDER
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from inspect import cleandoc
from pathlib import Path

import click

from sync.command_frame import Noun, Program, Verb, version_of
from sync.errors import DONE, MISUSE

EXIT_STATUS = (
    ("0", "Done."),
    ("1", "The check found something wrong."),
    ("2", "Usage or configuration."),
    ("3", "Something that this machine lacks."),
)
PROGRAMS = {"reader": "firmware.cli", "department": "sync.department.cli"}  # imported only when needed
COMMON = frozenset({"--home DIR", "--json", "-h, --help"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPage:
    """One command's page. `words`: how to call it, e.g. "department hold place"."""

    words: str
    usage: str
    text: str
    options: tuple[tuple[str, str], ...]
    verbs: tuple[tuple[str, str], ...]
    example: str


def pages(program: Program) -> Iterator[CommandPage]:
    """The page of the program, then one for every command, in the order of the help."""
    context = click.Context(program, info_name=program.program, **program.context_settings)
    yield _page(program, context, program.example)
    yield from _below(program, context)


def _below(group: click.Group, context: click.Context) -> Iterator[CommandPage]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if not isinstance(command, Verb | Noun):
            raise TypeError(f"{context.command_path} {name}: is not made by the command frame")
        inner = click.Context(command, info_name=name, parent=context, **command.context_settings)
        yield _page(command, inner, command.example)
        if isinstance(command, click.Group):
            yield from _below(command, inner)


def _page(command: click.Command, context: click.Context, example: str) -> CommandPage:
    verbs: tuple[tuple[str, str], ...] = ()
    if isinstance(command, Program):
        verbs = tuple((name, about) for name, (_, about) in command.table.items())
    elif isinstance(command, click.Group):
        below = ((name, command.get_command(context, name)) for name in command.list_commands(context))
        verbs = tuple((name, one.get_short_help_str(200)) for name, one in below if one is not None)
    options = (one.get_help_record(context) for one in command.get_params(context))
    pieces = " ".join(command.collect_usage_pieces(context))
    return CommandPage(
        words=context.command_path,
        usage=f"{context.command_path} {pieces}".rstrip(),
        text=cleandoc(command.help or ""),
        options=tuple(one for one in options if one is not None and one[1]),
        verbs=verbs,
        example=example,
    )


def manual(page: CommandPage, version: str) -> str:
    """A manual page in roff (man(7))."""
    name = page.words.replace(" ", "-")
    summary = page.text.partition("\n\n")[0].replace("\n", " ").rstrip(".")
    lines = [
        f'.TH "{name.upper()}" 1 "" "alpr-reader {version}"',
        ".SH NAME", f"{_roff(name)} \\- {_roff(summary)}",
        ".SH SYNOPSIS", f".B {_roff(page.usage)}",
        ".SH DESCRIPTION", *_paragraphs(page.text),
    ]  # fmt: skip
    for title, rows in (("COMMANDS", page.verbs), ("OPTIONS", page.options), ("EXIT STATUS", EXIT_STATUS)):
        if rows:
            lines.append(f".SH {title}")
        for term, what in rows:
            lines += [".TP", f".B {_roff(term)}", _roff(what)]
    lines += [".SH EXAMPLE", ".nf", _roff(page.example), ".fi"]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> list[str]:
    """Paragraphs separated by .PP; each line is safe for roff."""
    return [line for part in text.split("\n\n") for line in (".PP", _roff(" ".join(part.split())))][1:]


def _roff(text: str) -> str:
    """Escapes text for roff: no requests, no escapes, and hyphens that can be copied."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ")
    return f"\\&{safe}" if safe[:1] in {".", "'"} else safe


def markdown(program: Program) -> str:
    """The reference of a program's commands."""
    parts = [
        f"# The commands of `{program.program}`\n",
        "Made from the commands' own help by `make reference`; a test compares them. Every command\n"
        f"takes `--home DIR` (or `{program.variable}`) and `--json`, before or after its verb.\n",
        "Exit status: " + ", ".join(f"{number} {_lower(what)}" for number, what in EXIT_STATUS) + ".\n",
    ]
    for page in list(pages(program))[1:]:
        parts.append(f"{'#' * len(page.words.split())} `{page.words}`\n")
        parts.append(f"    {page.usage}\n")
        parts += [textwrap.fill(" ".join(one.split()), 118) + "\n" for one in page.text.split("\n\n")]
        parts += [f"- `{term}`: {what}" for term, what in page.options if term not in COMMON]
        parts.append(f"\nExample: `{page.example}`\n")
    return "\n".join(parts).replace("\n\n\n", "\n\n")


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}".rstrip(".")


def write_manual(program: Program, version: str, folder: Path) -> list[Path]:
    """Write one page per command, e.g. `reader-verify.1`; returns the files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for page in pages(program):
        made.append(folder / f"{page.words.replace(' ', '-')}.1")
        made[-1].write_text(manual(page, version), encoding="utf-8")
    return made


def main(words: list[str]) -> int:
    """`PROGRAM FOLDER`: write manual pages there; `PROGRAM --markdown FILE`: write the reference there."""
    if (
        len(words) not in {2, 3}
        or words[0] not in PROGRAMS
        or (len(words) == 3) != (words[1] == "--markdown")
    ):
        print("usage: python -m sync.command_pages reader|department FOLDER", file=sys.stderr)
        print("       python -m sync.command_pages reader|department --markdown FILE", file=sys.stderr)
        return MISUSE
    program: Program = import_module(PROGRAMS[words[0]]).PROGRAM
    if len(words) == 3:
        Path(words[2]).write_text(markdown(program), encoding="utf-8")
    else:
        write_manual(program, version_of(program.distribution), Path(words[1]))
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
