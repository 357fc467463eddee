"""`python -m tests.tools.rooms` counts correctly."""

from __future__ import annotations

import pytest

from tests.tools.rooms import arrows_of, code_lines, count, count_rooms, files_at, floors_of, house_of, table

HOUSE = {
    "firmware/__init__.py": '"""A house."""\n',
    "firmware/cli.py": "from firmware.run import loop\nfrom firmware.run.loop import go\n",
    "firmware/run/__init__.py": "",
    "firmware/run/loop.py": "from . import clock\nfrom ..health.report import Report\nimport json\n",
    "firmware/run/clock.py": "def now():\n    from firmware.run import loop\n    return loop\n",
    "firmware/health/__init__.py": "",
    "firmware/health/report.py": "from storage.times import DAY_US\n",
}


def test_a_code_line_is_not_blank_nor_a_comment_nor_a_docstring() -> None:
    source = (
        '"""Head\n\nof two lines."""\n\n# why\nx = """a\nb"""  # how\n\n'
        'def f():\n    """Doc."""\n    return [\n        1,\n    ]\n'
    )
    assert code_lines(source) == len(["x = ", "b", "def f", "return [", "1,", "]"])


def test_an_arrow_is_one_import_of_one_module_by_another_however_it_is_written() -> None:
    assert arrows_of(HOUSE) == {
        ("firmware.cli", "firmware.run.loop"),
        ("firmware.run.loop", "firmware.run.clock"),
        ("firmware.run.loop", "firmware.health.report"),
        ("firmware.run.clock", "firmware.run.loop"),
    }


@pytest.mark.parametrize(
    ("arrows", "floors"),
    [
        pytest.param("", 1, id="no arrow"),
        pytest.param("ab bc", 3, id="a chain"),
        pytest.param("ab ac bd cd", 3, id="two ways of the same length"),
        pytest.param("ab bc ac cd", 4, id="the longest way counts"),
        pytest.param("ab ba", 1, id="modules that import each other are one floor"),
        pytest.param("ab bc cb cd", 3, id="a circle within a chain"),
    ],
)
def test_floors_are_the_longest_chain(arrows: str, floors: int) -> None:
    assert floors_of("abcd", [(one[0], one[1]) for one in arrows.split()]) == floors


def test_a_house_is_counted_with_its_rooms() -> None:
    house = count("firmware", HOUSE)
    assert (house.modules, house.floors, house.arrows) == (4, 3, 4)
    rooms = count_rooms("firmware", HOUSE)
    assert (rooms.modules, rooms.floors, rooms.arrows) == (2, 2, 1)


@pytest.mark.parametrize(
    ("name", "house"),
    [
        ("sync.uplink", "sync"),
        ("sync.department.desk.api", "sync.department"),
        ("detector.training.release", "detector.training"),
        ("detector", "detector"),
        ("tests.conftest", None),
    ],
)
def test_a_module_belongs_to_the_innermost_house(name: str, house: str | None) -> None:
    assert house_of(name) == house


@pytest.mark.slow
def test_the_figures_of_this_revision_name_every_room() -> None:
    files = files_at("HEAD")
    lines = list(table({path: text if path.startswith("storage/") else "" for path, text in files.items()}))
    rows = {row.split()[0]: row.split()[1:] for row in lines if row.strip() and "(" not in row}
    assert {"hw", "detector", "storage", "sync", "sync/department", "firmware", "desk", "console"} <= set(
        rows
    )
    assert int(rows["storage"][0]) == sum(
        path.startswith("storage/") and not path.endswith("__init__.py") for path in files
    )
