"""A copy of the checkout in which a room's tests run, without a mutant and then with one after another.

The copy and all that its tests write are in memory where the machine has a RAM disk: the tests make many
files durable, and wait longer for a disk than they compute.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tools.mutation.changes import Mutant
from tests.tools.mutation.rooms import Room

ROOT = Path(__file__).resolve().parents[3]
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the fastest place, if there is one
SLOWEST_START_S, LONGER = 30.0, 20.0  # a test may take so many times longer with a mutant; then it hangs


class BaselineFailedError(Exception):
    """The room's tests fail without any mutant: alone, or as the runner runs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which tests run a line, how long each takes in seconds, and the modules that they import."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]
    modules: frozenset[str] = frozenset()

    @classmethod
    def from_file(cls, path: Path, checkout: Path) -> Reach:
        """Read what the plugin wrote; module paths become relative to the checkout."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        lines = {
            Path(module).relative_to(checkout).as_posix(): {int(at): tests for at, tests in reached.items()}
            for module, reached in raw["lines"].items()
        }
        return cls(lines=lines, seconds=raw["seconds"], modules=frozenset(raw["modules"]))

    def of_file(self, file: str) -> Reach:
        """The part of one test file."""
        lines = {
            module: {at: kept for at, tests in reached.items() if (kept := _in_file(tests, file))}
            for module, reached in self.lines.items()
        }
        seconds = {name: one for name, one in self.seconds.items() if _in_file([name], file)}
        return Reach(lines=lines, seconds=seconds, modules=self.modules)

    def to_json(self) -> str:
        """All of it, for `from_json`."""
        return json.dumps({"lines": self.lines, "seconds": self.seconds, "modules": sorted(self.modules)})

    @classmethod
    def from_json(cls, text: str) -> Reach:
        raw = json.loads(text)
        lines = {
            module: {int(at): tests for at, tests in one.items()} for module, one in raw["lines"].items()
        }
        return cls(lines=lines, seconds=raw["seconds"], modules=frozenset(raw["modules"]))

    def __or__(self, other: Reach) -> Reach:
        """What two runs of other tests reached."""
        lines = {
            module: {
                at: [*self.lines.get(module, {}).get(at, ()), *other.lines.get(module, {}).get(at, ())]
                for at in {*self.lines.get(module, {}), *other.lines.get(module, {})}
            }
            for module in {*self.lines, *other.lines}
        }
        return Reach(lines=lines, seconds=self.seconds | other.seconds, modules=self.modules | other.modules)

    def tests(self, mutant: Mutant, most_s: float = math.inf) -> list[str]:
        """The tests that run one of the mutant's lines: its module's own first, of `most_s` in all."""
        reached = self.lines.get(mutant.path, {})
        names = {name for at in mutant.lines for name in reached.get(at, ())}
        if "" in names:  # it runs on import: any test may read what it made
            names = set(self.seconds)
        files = {name for name in names if "::" not in name}
        chosen = [one for one in self.seconds if one in names or one.partition("::")[0] in files]
        cost: dict[str, float] = {}
        for one in chosen:
            file = one.partition("::")[0]
            cost[file] = cost.get(file, 0.0) + self.seconds[one]
        own = f"test_{Path(mutant.path).name}"

        def order(one: str) -> tuple[bool, float, str, float]:
            file = one.partition("::")[0]
            return Path(file).name != own, cost[file], file, self.seconds[one]

        chosen.sort(key=order)
        spent_s = itertools.accumulate(self.seconds[one] for one in chosen)
        return [one for one, until_s in zip(chosen, spent_s, strict=True) if until_s <= most_s]

    def quickest(self) -> list[str]:
        """The quickest test of each file."""
        found: dict[str, str] = {}
        for one in sorted(self.seconds, key=lambda name: self.seconds[name]):
            found.setdefault(one.partition("::")[0], one)
        return list(found.values())


def _in_file(tests: list[str], file: str) -> list[str]:
    """Those of a test file, and what runs on import."""
    return [one for one in tests if one in {"", file} or one.startswith(f"{file}::")]


@dataclass(frozen=True, slots=True)
class Bench:
    """One copy; `checkout` is its root, beside it is room for what the tests write."""

    checkout: Path

    def measure(self, room: Room, tests: list[str]) -> Reach:
        """Run test files of the room once, with a tracer. Raises BaselineFailedError."""
        modules = [str(self.checkout / one) for one in room.module_paths(self.checkout)]
        into = self.checkout.parent / "reach.json"
        environment = self._environment() | {
            "MUTATION_MODULES": "\n".join(modules),
            "MUTATION_REACH": str(into),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        command += ["-p", "tests.tools.mutation.reach", "--basetemp", str(self._written), *tests]
        done = subprocess.run(
            command, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BaselineFailedError(done.stdout[-3000:] + done.stderr[-1000:])
        for cached in self.checkout.rglob("__pycache__/*.pyc"):
            if any(cached.name.startswith(f"{Path(one).stem}.") for one in modules):
                cached.unlink()
        return Reach.from_file(into, self.checkout)

    @contextmanager
    def runner(self, reach: Reach) -> Iterator[Runner]:
        """A runner of this copy's tests. Raises BaselineFailedError where unchanged code fails in it."""
        noted = self.checkout.parent / "noted.json"
        files = sorted({one.partition("::")[0] for one in reach.seconds})
        noted.write_text(json.dumps({"files": files, "modules": sorted(reach.modules)}), encoding="utf-8")
        output = self.checkout.parent / "output.txt"
        command = [sys.executable, "-m", "tests.tools.mutation.runner"]
        command += [str(noted), str(output), str(self._written)]
        with subprocess.Popen(
            command,
            cwd=self.checkout,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            made = Runner(self.checkout, process, output, reach, self._environment())
            if made.fails(reach.quickest()):  # or each mutant would count as killed
                process.kill()
                raise BaselineFailedError(made.said())
            yield made
            process.communicate()

    @property
    def _written(self) -> Path:
        """What the tests write; a short name, since a socket's is 108 bytes at most."""
        return self.checkout.parent / "t"

    def _environment(self) -> dict[str, str]:
        """Temporary files are this copy's own: pytest tidies in the folder that its runs share."""
        return os.environ | {"TMPDIR": str(self.checkout.parent)}


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs tests with a mutant in a child of a process that collected them; else in one of their own."""

    checkout: Path
    process: subprocess.Popen[str]
    output: Path
    reach: Reach
    environment: dict[str, str]

    def kills(self, mutant: Mutant, most_s: float = math.inf) -> bool:
        """Whether a test fails with the mutant in place; tests of `most_s` seconds are tried."""
        tests = self.reach.tests(mutant, most_s)
        if not tests:
            return False
        failed = self._ask({"path": mutant.path, "mutant": mutant.name}, tests)
        return self._fails_anew(mutant, tests) if failed is None else failed

    def fails(self, tests: list[str]) -> bool:
        """Whether one of the tests fails or hangs on unchanged code."""
        return bool(self._ask({}, tests))

    def _ask(self, words: dict[str, str], tests: list[str]) -> bool | None:
        """None where the mutant needs a new import. Raises BaselineFailedError where the runner ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = words | {"tests": {one: self._longest_s(self.reach.seconds[one]) for one in tests}}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise BaselineFailedError(self.said())
        failed: bool | None = json.loads(answer)["failed"]
        return failed

    def said(self) -> str:
        """The end of what pytest printed last."""
        return self.output.read_text(encoding="utf-8", errors="replace")[-3000:]

    def _fails_anew(self, mutant: Mutant, tests: list[str]) -> bool:
        """The same with the mutant in the module's file, in a process that imports it."""
        target = self.checkout / mutant.path
        before = target.read_text(encoding="utf-8")
        target.write_text(mutant.source, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        command += ["--basetemp", str(self.checkout.parent / "anew"), *tests]
        process = subprocess.Popen(
            command,
            cwd=self.checkout,
            env=self.environment | {"PYTHONDONTWRITEBYTECODE": "1"},  # two of one second may be of one size
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(self._longest_s(sum(self.reach.seconds[one] for one in tests))) != 0
        except subprocess.TimeoutExpired:
            return True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            target.write_text(before, encoding="utf-8")

    @staticmethod
    def _longest_s(seconds: float) -> int:
        return round(SLOWEST_START_S + LONGER * seconds)


@contextmanager
def copied_checkout() -> Iterator[Bench]:
    """A copy of the working tree without environments and caches."""
    caches = shutil.ignore_patterns(".venv*", ".git", ".*_cache", "__pycache__", ".hypothesis")

    def skipped(folder: str, names: list[str]) -> set[str]:
        outputs = {"run", "build"} if Path(folder) == ROOT else set()
        return set(caches(folder, names)) | outputs

    place = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="m-", dir=place) as folder:
        checkout = Path(folder).resolve() / "tree"
        shutil.copytree(ROOT, checkout, ignore=skipped, symlinks=True)
        yield Bench(checkout)
