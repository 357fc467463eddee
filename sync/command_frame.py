"""The command-line frame of both programs, `reader` and `department`, built on click. It has no commands.

A program is a table of commands. The module of a command is imported only when the command runs, so that
`reader status` starts quickly on a Pi. A command is one function, and its docstring is its help:

    @verb("audit", example="reader audit --since 30d --csv > alpr-requests.csv")
    @click.option("--csv", "as_csv", is_flag=True, help="print CSV")
    def audit(common: Common, *, as_csv: bool) -> int:          # the exit status

A command with verbs is a `noun`, and each verb is a function under `@NOUN.verb(...)`. Every command takes
`--home DIR` and `--json`, before or after its verb. Exit status: 0 done, 1 the check found something wrong,
2 usage or configuration, 3 something that the machine lacks. Results go to stdout, everything else to stderr;
an error is one line: what, where, what to do.

It is in `sync` because both programs import that room, while `firmware` and `sync.department` may not import
each other.
"""

from __future__ import annotations

import functools
import gc
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

import click
from click.shell_completion import CompletionItem, shell_complete

from sync.errors import DONE, MISUSE
from sync.plain_output import plain_output

MOST_SIGNS = 2000  # characters of an error message: a value from the command line may fill more than a screen
INTERRUPTED, PIPE_CLOSED = 130, 141  # as a shell counts SIGINT and SIGPIPE

Explain: TypeAlias = Callable[[Exception, "Common"], tuple[str, int]]
Before: TypeAlias = Callable[["Common", Mapping[str, Any]], None]
Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(slots=True)
class Common:
    """The options that every command takes. `home`: the data folder; `json`: one JSON object per line."""

    home: Path
    json: bool = False
    command: str = ""  # the command that runs, e.g. "verify"
    before: Before | None = None  # called with the parameters of the command before it runs


def _keep_home(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    common = context.find_object(Common)
    if value is not None and common is not None:
        common.home = value


def _keep_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    common = context.find_object(Common)
    if value and common is not None:
        common.json = True


def _common_options(variable: str) -> list[click.Parameter]:
    return [
        click.Option(
            ["--home"], type=click.Path(path_type=Path, readable=False), metavar="DIR", expose_value=False,
            callback=_keep_home, help=f"Data folder (or {variable}).",
        ),
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_keep_json,
            help="Print one JSON object a line.",
        ),
    ]  # fmt: skip


class _Documented(click.Command):
    """A command with the common options, and an example at the end of its help."""

    def __init__(self, *args: Any, example: str, **settings: Any) -> None:
        settings.setdefault("context_settings", _SETTINGS)
        super().__init__(*args, **settings)
        self.example = example

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own options, then the common ones; --help is last."""
        own = super().get_params(ctx)
        return [*own[:-1], *_common_options(_variable(ctx)), *own[-1:]]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the example on one line, so that it can be copied."""
        formatter.write(f"\nexample: {self.example}\n")


class Verb(_Documented):
    """A command: one function."""

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function, after the program's `before`. Raises click.BadParameter."""
        for parameter in self.params:
            _demand_text(ctx, parameter)
        common = ctx.find_object(Common)
        if common is not None and common.before is not None:
            common.before(common, ctx.params)
        return super().invoke(ctx)


class Noun(_Documented, click.Group):
    """A command with verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The verbs in the order of their definition."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As in click, but the error lists the verbs. Raises click.UsageError."""
        if not ctx.resilient_parsing and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"no verb {args[0]!r}: one of {', '.join(self.commands)}")
        return super().resolve_command(ctx, args)

    def verb(self, name: str, *, example: str) -> Callable[[Callable[..., int]], Verb]:
        """A decorator: this function is the verb `name`."""

        def add(function: Callable[..., int]) -> Verb:
            made = verb(name, example=example)(function)
            self.add_command(made)
            return made

        return add


class Program(click.Group):
    """A program: the table `name: (module, what it does)`, in the order of `--help`.

    `variable`: the environment variable that names the home; `default_home`: the home without it;
    `spelled`: other spellings of commands, accepted but not listed; `looked_for`: words that people try, with
    the commands that do what they look for.
    """

    def __init__(
        self,
        name: str,
        table: Mapping[str, tuple[str, str]],
        *,
        about: str,
        example: str,
        distribution: str,
        variable: str,
        default_home: Path,
        spelled: Mapping[str, str] | None = None,
        looked_for: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            name, help=about, context_settings=_SETTINGS, subcommand_metavar="COMMAND ...",
            params=[
                *_common_options(variable),
                click.Option(
                    ["--version"], is_flag=True, is_eager=True, expose_value=False,
                    callback=self._show_version, help="Print the version and exit.",
                ),
            ],
        )  # fmt: skip
        self.example, self.variable = example, variable
        self.table, self.distribution, self._default_home = table, distribution, default_home
        self._spelled = dict(spelled or {})
        self._looked_for = dict(looked_for or {})

    @property
    def program(self) -> str:
        """The program's name on the command line."""
        return cast("str", self.name)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of one command; None if there is no such command."""
        if cmd_name not in self.table:
            return None
        return cast("click.Command", getattr(_loaded(self.table[cmd_name][0]), cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As in click, but the error lists the commands. Raises click.UsageError."""
        args = [self._spelled.get(args[0], args[0]), *args[1:]]
        common = ctx.find_object(Common)
        if common is not None:
            common.command = args[0]
        if not ctx.resilient_parsing and args[0] not in self.table:
            named = self._looked_for.get(args[0]) or _nearest(args[0], self.table)
            if named:
                lines = " or ".join(f"{self.program} {one}" for one in named.split(", "))
                ctx.fail(f"no command {args[0]!r}: maybe {lines}")
            ctx.fail(f"no command {args[0]!r}: one of {', '.join(self.table)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Lists the commands from the table, without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self.table.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Explains the exit status and gives an example."""
        formatter.write(
            "\nExit status: 0 done, 1 the check found something wrong, 2 usage or configuration,\n"
            f"3 something that this machine lacks\nexample: {self.example}\n"
        )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes commands from the table, then options."""
        named = [(name, about) for name, (_, about) in self.table.items() if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=about) for name, about in named),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def common(self) -> Common:
        """The options before the command line is parsed."""
        return Common(home=Path(os.environ.get(self.variable) or self._default_home))

    def _show_version(self, context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            click.echo(f"{self.program} {version_of(self.distribution)}")
            context.exit()


def _loaded(name: str) -> ModuleType:
    """Imports a module without garbage collection, which would take a sixth of the startup time.

    An import makes many objects and no garbage. The objects are frozen, so that later collections skip them.
    """
    module, collects = sys.modules.get(name), gc.isenabled()
    if module is not None:
        return module
    gc.disable()
    try:
        module = import_module(name)
    finally:
        if collects:
            gc.enable()
    gc.freeze()
    return module


def _nearest(word: str, names: Iterable[str]) -> str:
    """The names that a mistyped word may mean; empty if there are none."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistyped word needs it

    return ", ".join(get_close_matches(word, list(names), n=2, cutoff=0.7))


def version_of(distribution: str) -> str:
    """The installed version of a distribution; "unknown" when it runs from a bare source tree."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow to load

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def verb(name: str, *, example: str) -> Callable[[Callable[..., int]], Verb]:
    """A decorator: this function is the command `name`. It takes a `Common` first and returns the status."""

    def make(function: Callable[..., int]) -> Verb:
        return click.command(name, cls=Verb, example=example)(click.pass_obj(function))

    return make


def noun(name: str, about: str, *, example: str) -> Noun:
    """A command with verbs."""
    return Noun(name, help=about, example=example, subcommand_metavar="VERB ...")


def collected(name: str, make: Callable[..., Any], *options: Decorator) -> Decorator:
    """A decorator that collects these options, the parameters of `make`, into one argument `name`."""
    keys = tuple(inspect.signature(make).parameters)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*arguments: Any, **values: Any) -> Any:
            own = {key: values.pop(key) for key in keys}
            return function(*arguments, **{name: make(**own)}, **values)

        made: Callable[..., Any] = wrapper
        for option in reversed(options):
            made = option(made)
        return made

    return decorate


def run_program(
    program: Program,
    argv: Sequence[str] | None,
    *,
    known: tuple[type[Exception], ...],
    explain: Explain,
    before: Before | None = None,
) -> int:
    """Run one command; returns the exit status.

    `known`: the errors that end a command with one line; `explain`: gives that line, without the program's
    name, and the status; `before`: called once the command line has been parsed.
    """
    if _completed(program):
        return DONE
    common = program.common()
    common.before = before
    with plain_output():
        try:
            return _invoke(program, list(sys.argv[1:] if argv is None else argv), common)
        except known as error:
            message, status = explain(error, common)
            return _refuse(program, message, status)


def _invoke(program: Program, words: list[str], common: Common) -> int:
    """Parse and run; a mistyped command line, an interrupt and a closed pipe each give their own status."""
    try:
        with program.make_context(program.program, words, obj=common) as context:
            return int(program.invoke(context))
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as nothing:
        print(nothing.ctx.get_help() if nothing.ctx else "", file=sys.stderr)
        return MISUSE
    except click.ClickException as misuse:
        return _refuse(program, _misuse(program, misuse), MISUSE)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does: flush nothing into it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _variable(context: click.Context) -> str:
    root = context.find_root().command
    return root.variable if isinstance(root, Program) else "the environment"


def _demand_text(context: click.Context, parameter: click.Parameter) -> None:
    """Raises click.BadParameter unless the words are UTF-8; a path may be any bytes."""
    value = context.params.get(parameter.name or "")
    for one in value if isinstance(value, tuple) else [value]:
        if isinstance(one, str) and not one.isascii() and any("\ud800" <= sign <= "\udfff" for sign in one):
            raise click.BadParameter("is not UTF-8 text", ctx=context, param=parameter)


def _plain(said: str) -> str:
    """Click's message about a value, without the names of types."""
    said = re.sub(r"(.*) is not a valid integer(?: range)?", r"\1 is not a whole number", said)
    said = re.sub(r"(.*) is not a valid float(?: range)?", r"\1 is not a number", said)
    said = re.sub(r"(.*) is not in the range (\S+?)<=x<=(\S+)", r"\1 is not within \2 to \3", said)
    return re.sub(r"(.*) is not in the range x>=(\S+)", r"\1 is less than \2", said)


def _misuse(program: Program, error: click.ClickException) -> str:
    """Says what was mistyped and which help to read."""
    said = _plain(" ".join(error.format_message().split()).rstrip("."))
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else program.program
    where = "".join(f"{part}: " for part in [path.partition(" ")[2]] if part)
    return f"{where}{said[:1].lower()}{said[1:]} (see {path} --help)"


def _refuse(program: Program, message: str, status: int) -> int:
    """Print one line to stderr. Control characters from outside are replaced."""
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(message.split()))
    line = line if len(line) <= MOST_SIGNS else f"{line[:MOST_SIGNS]}..."
    print(f"{program.program}: {line}", file=sys.stderr)
    return status


def _completed(program: Program) -> bool:
    """Whether the shell asked for completions, which were then printed."""
    variable = f"_{program.program.upper()}_COMPLETE"
    instruction = os.environ.get(variable)
    if not instruction:
        return False
    shell_complete(program, {}, program.program, variable, instruction)
    return True
