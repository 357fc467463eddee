"""What both programs share: common options, exit statuses, one-line errors, completion, pages."""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from warm_program import run_warm

from firmware.cli import PROGRAM as READER
from sync.command_frame import (
    INTERRUPTED,
    PIPE_CLOSED,
    Common,
    Noun,
    Program,
    Verb,
    collected,
    noun,
    run_program,
    verb,
)
from sync.command_pages import main as write_pages
from sync.command_pages import manual, markdown, pages
from sync.department.cli import LOOKED_FOR
from sync.department.cli import PROGRAM as DEPARTMENT
from sync.department.commands.compliance import DONE_BY
from sync.department.desk.owed import Late
from sync.errors import DONE, FOUND_WRONG, MISUSE

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [pytest.param(READER, id="reader"), pytest.param(DEPARTMENT, id="department")]
PAGES = {
    "reader": ROOT / "firmware" / "commands" / "README.md",
    "department": ROOT / "sync" / "department" / "commands" / "README.md",
}


class FlatTireError(Exception):
    """An error of the program under test."""


@verb("ride", example="bike ride --far")
@click.option("--far", is_flag=True)
def ride(common: Common, *, far: bool) -> int:
    """Ride."""
    print(common.home, common.json, far)
    return FOUND_WRONG if far else DONE


repair = noun("repair", "Repair a part.", example="bike repair wheel")


@repair.verb("wheel", example="bike repair wheel")
@click.argument("fault", required=False, default="")
def wheel(common: Common, *, fault: str) -> int:
    """Repair the wheel."""
    faults: Mapping[str, BaseException] = {
        "flat": FlatTireError("wheel:\n flat \x1b[2J(pump it)"),
        "interrupt": KeyboardInterrupt(),
    }
    if fault:
        raise faults[fault]
    print(common.home, common.json)
    return DONE


BIKE = Program(
    "bike",
    {"ride": (__name__, "ride it"), "repair": (__name__, "repair it")},
    about="A bike.",
    example="bike ride",
    distribution="no-such-distribution",
    variable="BIKE_HOME",
    default_home=Path("/shed"),
    looked_for={"cycle": "ride --far, repair"},
)


@pytest.fixture(autouse=True)
def this_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__, _Here))
    monkeypatch.delenv("BIKE_HOME", raising=False)


class _Here:
    """Stands in for this module, which is not in sys.modules in importlib's import mode."""

    ride, repair = ride, repair


def bike(*words: str) -> int:
    def explain(error: Exception, common: Common) -> tuple[str, int]:
        return f"{common.command}: {error}", 1

    return run_program(BIKE, list(words), known=(FlatTireError,), explain=explain)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        pytest.param("ride", "/shed False False", id="default"),
        pytest.param("--home /a --json ride", "/a True False", id="before the verb"),
        pytest.param("ride --home /a --json", "/a True False", id="after the verb"),
        pytest.param("--home /a ride --home /b", "/b False False", id="the last one counts"),
        pytest.param("repair --home /a wheel --json", "/a True", id="between noun and verb"),
        pytest.param("--json repair wheel --home=/c", "/c True", id="around noun and verb"),
    ],
)
def test_home_and_json_are_taken_anywhere(words: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bike(*words.split()) == DONE
    assert capsys.readouterr().out == shown + "\n"


def test_the_environment_names_the_home_and_the_option_overrules_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIKE_HOME", "/env")
    assert bike("ride") == DONE
    assert bike("ride", "--home", "/typed") == DONE
    assert capsys.readouterr().out.split() == ["/env", "False", "False", "/typed", "False", "False"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        pytest.param(
            "cycle",
            "bike: no command 'cycle': maybe bike ride --far or bike repair (see bike --help)",
            id="looked for",
        ),
        pytest.param(
            "repiar", "bike: no command 'repiar': maybe bike repair (see bike --help)", id="mistyped"
        ),
        pytest.param("fly", "bike: no command 'fly': one of ride, repair (see bike --help)", id="command"),
        pytest.param(
            "repair saddle",
            "bike: repair: no verb 'saddle': one of wheel (see bike repair --help)",
            id="verb",
        ),
        pytest.param(
            "ride --fast", "bike: ride: no such option '--fast'. Did you mean '--far'? (see", id="option"
        ),
        pytest.param(
            "repair wheel a b", "bike: repair wheel: got unexpected extra argument (b)", id="argument"
        ),
        pytest.param("--home", "bike: option '--home' requires an argument (see bike --help)", id="value"),
    ],
)
def test_misuse_is_one_line_that_names_the_command_and_its_help(
    words: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bike(*words.split()) == MISUSE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1


def test_each_kind_of_overdue_work_has_a_command() -> None:
    assert set(DONE_BY) == set(Late)


@pytest.mark.parametrize(
    ("word", "lines"), [*sorted(LOOKED_FOR.items()), *sorted((str(one), DONE_BY[one]) for one in DONE_BY)]
)
def test_what_a_person_looks_for_is_a_command_that_is_there(word: str, lines: str) -> None:
    assert word not in LOOKED_FOR or word not in DEPARTMENT.table
    for line in lines.split(", "):
        name, _, verb_name = line.partition(" ")
        context = click.Context(DEPARTMENT)
        command = DEPARTMENT.get_command(context, name)
        assert command is not None, line
        if verb_name and not verb_name.startswith("-"):
            assert isinstance(command, click.Group)
            assert verb_name.partition(" ")[0] in command.commands, line


@pytest.mark.parametrize("words", [[], ["repair"]])
def test_nothing_asked_shows_the_help_on_stderr_as_misuse(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bike(*words) == MISUSE
    said = capsys.readouterr()
    assert (said.out, "Commands:" in said.err) == ("", True)


def test_the_status_is_the_commands_own() -> None:
    assert (bike("ride"), bike("ride", "--far")) == (DONE, FOUND_WRONG)


def test_an_error_is_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert bike("repair", "wheel", "flat") == 1
    assert capsys.readouterr().err == "bike: repair: wheel: flat ?[2J(pump it)\n"


def test_an_interrupt_gives_its_own_status_and_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert bike("repair", "wheel", "interrupt") == INTERRUPTED
    assert capsys.readouterr().err == ""


def test_an_unknown_error_is_not_hidden() -> None:
    with pytest.raises(KeyError, match="square"):
        bike("repair", "wheel", "square")


def test_a_command_is_loaded_without_a_look_for_garbage_and_not_one_look_less_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loaded_once.py").write_text("import gc\nloaded, looked = object(), gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    program = Program(
        "once", {"loaded": ("loaded_once", "load")}, about="A.", example="once loaded", distribution="none",
        variable="ONCE_HOME", default_home=tmp_path,
    )  # fmt: skip
    for _ in range(2):
        command = program.get_command(click.Context(program), "loaded")
        made = sys.modules["loaded_once"]
        assert (command, made.looked, gc.isenabled()) == (made.loaded, False, True)
    monkeypatch.delitem(sys.modules, "loaded_once")


def test_a_closed_pipe_is_never_reported_as_done() -> None:
    """A verdict that did not arrive does not count."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "sync.department.cli", "clauses"]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (PIPE_CLOSED, "")


def test_options_are_collected_into_one_value_and_the_others_left() -> None:
    def pair(*, left: str, right: str) -> str:
        return left + right

    @collected("both", pair, click.option("--left", default="l"), click.option("--right", default="r"))
    def function(**values: Any) -> dict[str, Any]:
        return values

    made = click.command()(click.option("--more")(function))
    assert made.main(["--left", "L", "--more", "m"], standalone_mode=False) == {"both": "Lr", "more": "m"}


@pytest.mark.parametrize("program", ["firmware.cli", "sync.department.cli"])
def test_help_and_version_import_no_command(program: str) -> None:
    code = (
        f"import sys, {program} as cli; status = cli.main(['--help']) + cli.main(['--version']); "
        "commands = cli.__name__.replace('.cli', '.commands.'); "
        "sys.exit(status or any(name.startswith(commands) for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name, version = done.stdout.splitlines()[-1].split()
    assert name in {"reader", "department"}
    assert version.split(".")[0].isdigit()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["reader", "re"], {"read", "retention", "release"}),
        (["reader", "sync", ""], {"now", "status"}),
        (["reader", "run", "--pace", "f"], {"fast"}),
        (["department", "hold", "re"], {"release"}),
        (["department", "user", "set", "--org"], {"--organization"}),
    ],
)
def test_the_shell_completes_commands_verbs_and_options(words: list[str], offered: set[str]) -> None:
    module = {"reader": "firmware.cli", "department": "sync.department.cli"}[words[0]]
    environment = os.environ | {
        f"_{words[0].upper()}_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = run_warm(module, environment=environment)
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == offered


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_has_a_docstring_and_an_example_that_names_it(program: Program) -> None:
    for page in pages(program):
        assert page.text, page.words
        example = page.example.replace("--home ./demo ", "")
        assert example.startswith(page.words), (page.words, page.example)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_reference_pages_are_those_of_the_commands(program: Program) -> None:
    assert PAGES[program.program].read_text(encoding="utf-8") == markdown(program), "run: make reference"


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_is_explained_in_a_page_that_a_person_wrote(program: Program) -> None:
    written = "\n".join(
        " ".join(path.read_text(encoding="utf-8").split())
        for pattern in ("README.md", "*/*.md", "sync/department/**/*.md")
        for path in ROOT.glob(pattern)
        if path not in PAGES.values() and path.name != "HTTP.md"
    )
    typed = rf"{program.program} (?:--home \S+ )?"
    missing = [name for name in program.table if not re.search(rf"{typed}{name}\b", written)]
    assert missing == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_manual_page_names_every_option_and_no_line_is_a_stray_request(program: Program) -> None:
    known = {".TH", ".SH", ".B", ".TP", ".PP", ".nf", ".fi"}
    for page in pages(program):
        text = manual(page, "1.2")
        assert all(term.replace("-", "\\-") in text for term, _ in page.options), page.words
        requests = {line.split(maxsplit=1)[0] for line in text.splitlines() if line[:1] in {".", "'"}}
        assert requests <= known, page.words


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed (Debian: groff-base)")
@pytest.mark.parametrize("program", ["reader", "department"])
def test_groff_takes_every_manual_page_without_a_warning(program: str, tmp_path: Path) -> None:
    assert write_pages([program, str(tmp_path)]) == DONE
    files = sorted(tmp_path.glob("*.1"))
    assert tmp_path / f"{program}.1" in files
    command = ["groff", "-man", "-Tascii", "-ww", "-z", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words", [[], ["reader"], ["car", "folder"], ["reader", "--markdown"], ["reader", "a", "b"]]
)
def test_the_page_maker_refuses_what_it_does_not_know(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert write_pages(words) == MISUSE
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_is_made_by_the_frame(program: Program) -> None:
    context = click.Context(program)
    commands = [program.get_command(context, name) for name in program.list_commands(context)]
    assert all(isinstance(one, Verb | Noun) for one in commands)
