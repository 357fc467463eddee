"""Pages link only to what exists, and the picture is the one that its script draws."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sync.department.desk.operations import OPERATIONS
from tests.page_commands import command_lines, refused
from tests.tools.draw_architecture import BOXES, HEIGHT, WIDTH, picture
from tests.tools.http_reference import reference

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
]
GENERATED = {
    "firmware/commands/README.md",
    "sync/department/commands/README.md",
    "sync/department/desk/HTTP.md",
}
WRITTEN = [
    path for path in PAGES if str(path.relative_to(ROOT)) not in {*GENERATED, "CHANGELOG.md"}
]  # the changelog may name what no longer exists
SOURCES = subprocess.run(
    ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()
MODULE = re.compile(r"`(?:(?:python|\.venv/bin/python|pytest) )?([\w/.-]+\.py)\b")
RUN = re.compile(r"python -m ([\w]+(?:\.\w+)+)")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
BRITISH = re.compile(r"licen[c]e[- ]plate|organi[s]ation|\bcolo[u]r|\bmet[r]es?\b|behavio[u]r", re.IGNORECASE)
# A path in backticks, with a folder or a suffix; NOUN and NAME mean any name.
PATH = re.compile(r"`((?:[\w.*-]+/)+[\w.*-]*|[\w-]+\.(?:py|md|toml|lock))`")
# `test_x.py::test_y`, with ... for the rest of a name
NAMED_TEST = re.compile(r"`(?:[\w/]+/)?(test_\w+\.py)(?:::(test_\w+)(\.\.\.)?)?`")
AMERICAN = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "firmware/TUTORIAL.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    targets = [target for target, _ in LINK.findall(page.read_text(encoding="utf-8"))]
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_section_leads_to_its_heading(page: Path) -> None:
    """A heading's anchor: lower case, no punctuation, a hyphen for each space."""

    def sections(path: Path) -> set[str]:
        text = path.read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", "".join(text.split("```")[::2]), re.MULTILINE)
        names = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
        return names | set(re.findall(r'<a id="([\w-]+)">', text))

    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [(file, name) for file, name in links if "://" not in file]
    wrong = [
        (file, name) for file, name in local if name not in sections(page.parent / file if file else page)
    ]
    assert wrong == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_of_prose_has_over_120_columns(page: Path) -> None:
    """Tables, pictures and code blocks may be as wide as they need."""
    blocks = page.read_text(encoding="utf-8").split("```")
    lines = "".join(blocks[::2]).splitlines()
    prose = [line for line in lines if not line.startswith(("|", "![", "    "))]
    assert [line for line in prose if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    def defined(file: str, start: str, rest: str) -> bool:
        sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob(file)]
        name = re.compile(rf"^def {start}" + ("" if rest or not start else r"\("), re.MULTILINE)
        return any(name.search(source) for source in sources)

    named = NAMED_TEST.findall(page.read_text(encoding="utf-8"))
    assert [(file, start) for file, start, rest in named if not defined(file, start, rest)] == []


def test_every_path_that_the_guide_for_contributors_names_exists() -> None:
    named = PATH.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    patterns = {name.replace("NOUN", "*").replace("NAME", "*").rstrip("/") for name in named}
    assert len(patterns) > 30
    there = [name if "/" in name else f"**/{name}" for name in patterns if not name.startswith("../")]
    assert [name for name in sorted(there) if not any(ROOT.glob(name))] == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_of_python_that_a_page_names_exists(page: Path) -> None:
    """A bare name may be a module anywhere; a path is relative to the page's folder or to the root."""
    text = page.read_text(encoding="utf-8")
    tops = (ROOT, *page.parents[: page.parents.index(ROOT)])
    named = {name for name in MODULE.findall(text) if not re.search(r"\*|N[AO][MU]", name)}
    lost = [
        name
        for name in sorted(named)
        if not any((top / name).is_file() for top in tops)
        and ("/" in name or not any(path.endswith("/" + name) for path in SOURCES))
    ]
    for module in sorted({name for name in RUN.findall(text) if not name.endswith(".NAME")}):
        file = ROOT / module.replace(".", "/")
        if not (file.with_suffix(".py").is_file() or (file / "__main__.py").is_file()):
            lost.append(module)
    assert lost == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_line_that_a_page_shows_is_taken_by_its_program(page: Path) -> None:
    lines = command_lines(page.read_text(encoding="utf-8"))
    found = [(line, refused(program, line)) for program, line in lines if line != "reachable"]
    assert [f"{line}: {what}" for line, what in found if what] == []


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        ("463.8", ["storage/retention.py", "sync/department/server/retention.py"]),
        ("retention", ["sync/department/policy/policy-463.toml"]),
        (
            "second person",
            ["sync/department/desk/inquiry/rules.py", "sync/department/desk/changes/rules.py"],
        ),
        ("metered", ["sync/schedule.py", "firmware/fleet/sync_conditions.py", "sync/runner.py"]),
        ("sensor_failed", ["firmware/health/report.py", "sync/health.py", "tests/firmware/test_health.py"]),
        ("POST /desk/hold/place", ["sync/department/desk/HTTP.md"]),
    ],
)
def test_a_look_up_of_the_guide_leads_to_the_words_that_a_stranger_greps(
    wanted: str, paths: list[str]
) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [path for path in paths if f"`{path}`" not in guide] == []
    assert [path for path in paths if wanted not in (ROOT / path).read_text(encoding="utf-8")] == []


def test_no_file_of_the_tree_has_the_name_of_an_option() -> None:
    """A tool that writes to the file named by its first argument would create one called `--help`."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in tracked.splitlines() if name.startswith("-") or "/-" in name] == []


@pytest.mark.parametrize("name", AMERICAN)
def test_the_pages_for_everybody_are_in_american_english(name: str) -> None:
    assert BRITISH.findall((ROOT / name).read_text(encoding="utf-8")) == []


def test_the_picture_is_drawn_by_its_script_and_names_rooms_that_exist() -> None:
    drawn = (ROOT / "firmware" / "architecture.svg").read_text(encoding="utf-8")
    command = "python -m tests.tools.draw_architecture firmware/architecture.svg"
    assert drawn == picture(), f"run: {command}"
    assert [one.room for one in BOXES if one.room and not (ROOT / one.room).is_dir()] == []


def test_the_picture_is_well_formed_and_no_box_leaves_it_or_covers_another() -> None:
    root = ET.fromstring(picture())  # noqa: S314 - our own
    assert root.tag.endswith("svg")
    for one in BOXES:
        assert 0 < one.x < WIDTH - one.w, one.name
        assert 0 < one.y < HEIGHT - one.h, one.name
        others = [
            two.name
            for two in BOXES
            if two is not one
            and one.x < two.x + two.w and two.x < one.x + one.w
            and one.y < two.y + two.h and two.y < one.y + one.h
        ]  # fmt: skip
        assert others == [], one.name


def test_the_http_reference_is_that_of_the_operations() -> None:
    page = (ROOT / "sync" / "department" / "desk" / "HTTP.md").read_text(encoding="utf-8")
    assert page == reference(), "run: make reference"


def test_the_http_reference_explains_every_operation_its_answer_and_every_record_it_names() -> None:
    page = reference()
    assert [name for name in OPERATIONS if f"`POST /desk/{name}`" not in page] == []
    assert "Answer: Any" not in page
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= set(re.findall(r'<a id="([\w-]+)">', page))
