"""The two wheels of this tree: a unit's, which runs in a bare environment, and the department's on top."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
DEPARTMENT_FOLDER = ROOT / "sync" / "department"
UNIT_ROOMS = ("firmware", "detector", "storage", "sync", "hw")
NEVER_ON_A_UNIT = (
    "sqlalchemy", "starlette", "uvicorn", "alembic", "argon2", "pyotp", "jinja2", "webauthn", "pmtiles",
    "tensorflow", "boto3",
)  # fmt: skip
TOOLS = re.compile(
    r"soak|bench|demo_department|local_department|transcript|rehearsal|test_|conftest|training"
)
FONTS = re.compile(r"font|\.(?:ttf|otf|pfb|woff2?)$", re.IGNORECASE)
MAX_UNIT_BYTES = 17 << 18  # including 3.2 MiB of nets

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Wheel:
    """A built wheel and the files in it."""

    path: Path

    @property
    def names(self) -> list[str]:
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    @property
    def modules(self) -> list[str]:
        """The name of every module; a package counts under its own name."""
        files = (name for name in self.names if name.endswith(".py"))
        return sorted(name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files)

    def needs(self, extra: str = "") -> list[Requirement]:
        """The requirements of the wheel itself, or those that `extra` adds."""
        with zipfile.ZipFile(self.path) as archive:
            (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
            lines = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
        found = [Requirement(str(line)) for line in lines]
        plain = [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]
        if not extra:
            return plain
        with_extra = [one for one in found if one.marker is None or one.marker.evaluate({"extra": extra})]
        return [one for one in with_extra if one not in plain]

    def unpack(self, folder: Path) -> None:
        with zipfile.ZipFile(self.path) as archive:
            archive.extractall(folder)


def build(folder: Path, source: Path, **environment: str) -> Wheel:
    """Build a wheel without a package index."""
    alone = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *alone, "--wheel-dir", str(folder), str(source)],
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return Wheel(path)


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return build(tmp_path_factory.mktemp("unit"), ROOT)


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return build(tmp_path_factory.mktemp("department"), DEPARTMENT_FOLDER)


def closure(needs: list[Requirement]) -> Iterator[str]:
    """The names of the installed distributions that these requirements need, directly or not."""
    known: set[str] = set()
    while needs:
        one = needs.pop()
        if one.name in known:
            continue
        known.add(one.name)
        yield one.name
        for line in distribution(one.name).requires or []:
            need = Requirement(line)
            if need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)
            ):
                needs.append(need)


def environment_with(folder: Path, needs: list[Requirement], *wheels: Wheel) -> Path:
    """Make a virtual environment with these wheels and only what `needs` requires. Returns its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    for name in closure(list(needs)):
        found = distribution(name)
        tops = {Path(str(file)).parts[0] for file in found.files or [] if Path(str(file)).parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(found.locate_file(top))))
    for wheel in wheels:
        wheel.unpack(site)
    return folder / "bin" / "python"


def run(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an empty folder, isolated from this environment."""
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(python.parent)}
    return subprocess.run(
        [str(python), "-W", "ignore", *words],
        env=variables, cwd=python.parent, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def bare(unit: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment like the one that `pip install .` makes."""
    return environment_with(tmp_path_factory.mktemp("bare") / "venv", unit.needs(), unit)


def test_a_units_wheel_holds_no_department_no_training_no_font_and_no_tool(unit: Wheel) -> None:
    tops = {name.partition("/")[0] for name in unit.names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(UNIT_ROOMS)
    assert [name for name in unit.names if name.startswith("sync/department/")] == []
    assert [name for name in unit.names if TOOLS.search(name)] == []
    assert [name for name in unit.names if FONTS.search(name)] == []
    assert unit.path.stat().st_size < MAX_UNIT_BYTES


def test_a_units_wheel_holds_every_module_and_data_file_of_the_unit_and_the_license(unit: Wheel) -> None:
    apart = ("sync/department/", "detector/training/")
    sources = {str(path.relative_to(ROOT)) for room in UNIT_ROOMS for path in (ROOT / room).rglob("*.py")}
    wanted = {name for name in sources if not name.startswith(apart)}
    assert {name for name in unit.names if name.endswith(".py")} == wanted
    listed = subprocess.run(
        ["git", "ls-files", *UNIT_ROOMS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    data = {name for name in listed.stdout.splitlines() if not name.endswith((".py", ".md", ".svg"))}
    packed = {name for name in unit.names if not name.endswith(".py") and ".dist-info/" not in name}
    assert packed == {name for name in data if not name.startswith(apart)}
    assert any(name.endswith("/licenses/LICENSE") for name in unit.names)


def test_every_module_of_the_unit_imports_in_a_bare_environment(unit: Wheel, bare: Path) -> None:
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = run(bare, "-c", code, *unit.modules)
    assert done.returncode == 0, done.stderr


def test_a_bare_unit_has_no_library_of_the_department(bare: Path) -> None:
    code = "import importlib.util as u, sys\nprint(*(one for one in sys.argv[1:] if u.find_spec(one)))"
    done = run(bare, "-c", code, *NEVER_ON_A_UNIT, "click")
    assert (done.returncode, done.stdout.split()) == (0, ["click"]), done.stderr


@pytest.mark.thorough
def test_a_bare_unit_makes_a_home_and_verifies_it(bare: Path, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    for words in (["--version"], ["--home", home, "init"], ["--home", home, "verify"]):
        done = run(bare, "-m", "firmware.cli", *words)
        assert done.returncode == 0, done.stderr


@pytest.mark.thorough
def test_the_departments_wheel_is_the_departments_folder_and_needs_the_unit(
    unit: Wheel, department: Wheel
) -> None:
    sources = {str(path.relative_to(ROOT)) for path in DEPARTMENT_FOLDER.rglob("*.py")}
    assert {name for name in department.names if name.endswith(".py")} == sources
    assert set(unit.names) & set(department.names) == set()
    data = {name for name in department.names if name.endswith((".toml", ".cnf"))}
    assert data == {"sync/department/policy/policy-463.toml", "sync/department/ground/openssl-approved.cnf"}
    assert [(one.name, one.extras) for one in department.needs()] == [("alpr-reader", {"department"})]


@pytest.mark.thorough
def test_both_wheels_together_are_a_department(unit: Wheel, department: Wheel, tmp_path: Path) -> None:
    libraries = [one for one in unit.needs("department") if one.url is None]
    python = environment_with(tmp_path / "venv", [*unit.needs(), *libraries], unit, department)
    home = str(tmp_path / "department")
    for words in (["--version"], ["--home", home, "init"], ["--home", home, "verify"]):
        done = run(python, "-m", "sync.department.cli", *words)
        assert done.returncode == 0, done.stderr


@pytest.mark.thorough
def test_the_extra_takes_the_department_from_this_tree_and_a_release_by_its_version(
    unit: Wheel, tmp_path: Path
) -> None:
    def department_of(wheel: Wheel) -> list[str]:
        return [str(one) for one in wheel.needs("department") if one.name == "alpr-department"]

    (here,) = department_of(unit)
    assert DEPARTMENT_FOLDER.as_uri() in here
    released = build(tmp_path, ROOT, ALPR_EXTRAS="released")
    (by_version,) = department_of(released)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert by_version.startswith(f"alpr-department=={version}")


def test_both_distributions_and_the_changelog_have_one_version() -> None:
    files = (ROOT / "pyproject.toml", DEPARTMENT_FOLDER / "pyproject.toml")
    unit, department = (tomllib.loads(path.read_text())["project"] for path in files)
    assert unit["version"] == department["version"]
    assert department["dependencies"] == [f"alpr-reader[department]=={unit['version']}"]
    assert f"\n## {unit['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
