"""The tools of `make mutants` make the right mutants and judge them correctly."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.mutants import equivalent_names
from tests.tools.mutation.bench import ROOT, Reach
from tests.tools.mutation.changes import mutants_of
from tests.tools.mutation.kept import KeptReach
from tests.tools.mutation.rooms import ROOMS, Room

pytestmark = pytest.mark.slow

MODULE = """
def reads(days: int, held: bool = False) -> int:
    if days > 365 and not held:
        raise ValueError("too many")
    log(days)
    return days + 1
"""


def test_every_kind_of_fault_is_made_of_a_module_once() -> None:
    assert [one.what for one in mutants_of("storage/x.py", MODULE)] == [
        "condition negated: if days > 365 and not held:",
        "left out: log(days)",
        "False to True: def reads(days: int, held: bool = False) -> int:",
        "operand 1 dropped: if days > 365 and not held:",
        "operand 2 dropped: if days > 365 and not held:",
        'left out: raise ValueError("too many")',
        "+ and - exchanged: return days + 1",
        "Gt to GtE: if days > 365 and not held:",
        "1 to 2: return days + 1",
        "365 to 366: if days > 365 and not held:",
    ]


def test_mutants_differ_from_their_module_and_each_other_and_are_still_python() -> None:
    sources = [ast.unparse(ast.parse(MODULE)), *(one.source for one in mutants_of("storage/x.py", MODULE))]
    assert len(set(sources)) == len(sources)
    for source in sources:
        compile(source, "x.py", "exec")


def test_a_mutant_runs_the_tests_that_reach_its_line_the_fastest_file_first() -> None:
    reach = Reach(
        lines={"storage/x.py": {3: ["tests/a.py::slow", "tests/b.py"], 6: ["tests/c.py::other"]}},
        seconds={
            "tests/a.py::slow": 9.0,
            "tests/b.py::one": 2.0,
            "tests/b.py::two": 1.0,
            "tests/c.py::other": 0,
        },
    )
    condition = next(one for one in mutants_of("storage/x.py", MODULE) if one.what.startswith("condition"))
    assert reach.tests(condition) == ["tests/b.py::two", "tests/b.py::one", "tests/a.py::slow"]


def test_the_tests_of_the_mutants_own_module_come_first() -> None:
    tests = ["tests/quick.py::one", "tests/storage/test_x.py::slow"]
    reach = Reach(lines={"storage/x.py": {6: tests}}, seconds={tests[0]: 1.0, tests[1]: 9.0})
    mutant = next(one for one in mutants_of("storage/x.py", MODULE) if one.what.startswith("1 to 2"))
    assert reach.tests(mutant) == tests[::-1]


def test_of_the_tests_that_reach_a_line_the_quickest_of_so_many_seconds_are_tried() -> None:
    tests = ["tests/a.py::one", "tests/b.py::two"]
    reach = Reach(lines={"storage/x.py": {6: tests}}, seconds={tests[0]: 3.0, tests[1]: 2.0})
    mutant = next(one for one in mutants_of("storage/x.py", MODULE) if one.what.startswith("1 to 2"))
    assert [reach.tests(mutant, most_s) for most_s in (1.9, 2.0, 4.9, 5.0)] == [
        [], tests[1:], tests[1:], tests[::-1]
    ]  # fmt: skip


def test_what_a_test_file_reaches_is_kept_until_it_or_the_room_changes(tmp_path: Path) -> None:
    for name, text in (
        ("storage/x.py", MODULE), ("tests/test_a.py", "a"), ("tests/test_b.py", "b"), ("pyproject.toml", ""),
        ("tests/tools/mutation/reach.py", ""),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    room = Room(modules=("storage/*.py",), tests=("tests/test_*.py",))
    reach = Reach(
        lines={"storage/x.py": {1: [""], 3: ["tests/test_a.py", "tests/test_b.py::b"]}},
        seconds={"tests/test_a.py::a": 1.0, "tests/test_b.py::b": 2.0},
        modules=frozenset({"json"}),
    )
    files = room.test_paths(tmp_path)
    KeptReach(tmp_path / "run", tmp_path, room).put(files, reach)
    kept = KeptReach(tmp_path / "run", tmp_path, room)
    first, second = (kept.get(one) for one in files)
    assert first == Reach(
        lines={"storage/x.py": {1: [""], 3: ["tests/test_a.py"]}},
        seconds={"tests/test_a.py::a": 1.0},
        modules=frozenset({"json"}),
    )
    assert second is not None
    assert (first | second).seconds == reach.seconds
    (tmp_path / "tests/test_a.py").write_text("changed")
    assert (kept.get(files[0]), kept.get(files[1])) == (None, second)
    (tmp_path / "storage/x.py").write_text("changed")
    assert KeptReach(tmp_path / "run", tmp_path, room).get(files[1]) is None


def test_what_runs_on_import_is_tried_by_every_test_the_quickest_first() -> None:
    reach = Reach(lines={"storage/x.py": {1: [""]}}, seconds={"tests/a.py::one": 2.0, "tests/b.py::two": 1.0})
    (mutant, *_) = mutants_of("storage/x.py", "LIMIT = 7\n")
    assert reach.tests(mutant) == ["tests/b.py::two", "tests/a.py::one"]


def test_a_line_that_no_test_reaches_has_no_tests() -> None:
    reach = Reach(lines={}, seconds={"tests/a.py::one": 1.0})
    assert reach.tests(mutants_of("storage/x.py", MODULE)[0]) == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_pattern_of_a_room_names_files(room: str) -> None:
    assert ROOMS[room].module_paths(ROOT)
    assert ROOMS[room].test_paths(ROOT)


def test_a_pattern_that_names_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such file; correct tests/tools/mutation/rooms.py"):
        ROOMS["detector"].module_paths(tmp_path)


def test_every_equivalent_mutant_still_exists() -> None:
    paths = sorted({name.split(" ", 1)[0] for name in equivalent_names()})
    there = {
        mutant.name
        for path in paths
        for mutant in mutants_of(path, (ROOT / path).read_text(encoding="utf-8"))
    }
    assert set(equivalent_names()) <= there


CHILD = """
import pytest
from room_made_up import LIMIT, allowed


def test_passes():
    assert allowed(LIMIT)


def test_fails():
    assert allowed(LIMIT + 1)


def test_hangs():
    import time

    time.sleep(600)
"""
MADE_UP = """
LIMIT = 7


def allowed(number):
    return number <= LIMIT
"""


def test_the_runner_knows_a_test_that_fails_with_a_mutant_or_without(tmp_path: Path) -> None:
    """Null for a mutant of code that runs on import: it needs a new process. No mutant affects the next."""
    (tmp_path / "test_child.py").write_text(CHILD)
    (tmp_path / "room_made_up.py").write_text(MADE_UP)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\npythonpath = .\n")
    (tmp_path / "noted.json").write_text('{"files": ["test_child.py"], "modules": ["no_such_module"]}')
    turned = "room_made_up.py allowed: LtE to Lt: return number <= LIMIT"
    asked: list[tuple[str, int, str, bool | None]] = [
        ("passes", 60, "", False), ("fails", 60, "", True), ("hangs", 3, "", True),
        ("passes", 60, turned, True), ("passes", 60, "", False),
        ("passes", 60, "room_made_up.py -: 7 to 8: LIMIT = 7", None), ("passes", 60, "", False),
    ]  # fmt: skip
    lines = [
        {"tests": {f"test_child.py::test_{name}": longest_s}}
        | ({"path": "room_made_up.py", "mutant": mutant} if mutant else {})
        for name, longest_s, mutant, _ in asked
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.mutation.runner", "noted.json", "output", "t"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input="".join(json.dumps(one) + "\n" for one in lines),
        capture_output=True,
        text=True,
        check=False,
    )
    found = [json.loads(line)["failed"] for line in done.stdout.splitlines()]
    assert found == [one[-1] for one in asked], (tmp_path / "output").read_text()
