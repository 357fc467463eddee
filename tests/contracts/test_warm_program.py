"""A program that is forked with its modules loaded does what one that starts from nothing does."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from warm_program import WarmProgram

MODULE = "a_small_program"
TEXT = """
import sys

def main():
    scope = {}
    exec(sys.argv[1], scope)
    return scope.get("status")

if __name__ == "__main__":
    sys.exit(main())
"""
STREAMS = """
import sys
for one in (sys.stdin, sys.stdout, sys.stderr):
    print(one, one.errors, one.line_buffering, one.write_through, type(one.buffer))
"""
WARNS = "import warnings; warnings.warn('said')"
READS = "import sys; print(ascii(sys.stdin.read()))"
CLOCK = "import time; print(time.localtime(0))"
PLACE = "import os, sys; print(os.getcwd(), sys.path, sys.argv)"
GROUP = "import os; print(os.getpgid(0) == os.getpid())"
PRINTS = "print('x'); import atexit; atexit.register(print, 'y')"
Start = Callable[..., "subprocess.Popen[Any]"]


@pytest.fixture(scope="module", autouse=True)
def _module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("programs")
    (folder / f"{MODULE}.py").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield


def from_nothing(code: str, **settings: Any) -> subprocess.Popen[Any]:
    return subprocess.Popen([sys.executable, "-m", MODULE, code], **settings)


def warm(code: str, **settings: Any) -> subprocess.Popen[Any]:
    return WarmProgram(MODULE, code, **settings)


def outcome(start: Start, code: str, given: bytes, settings: dict[str, Any]) -> tuple[int, bytes, bytes]:
    """Status, output, and what is said of errors without the frames of the start."""
    pipe = subprocess.PIPE
    environment = os.environ | settings.get("env", {})
    streams = {"stdin": pipe, "stdout": pipe, "stderr": pipe}
    with start(code, **(streams | settings | {"env": environment})) as program:
        out, err = program.communicate(given, timeout=300)
        lines = [line for line in err.splitlines() if not line.startswith((b" ", b"Traceback"))]
        return program.returncode, out or b"", b"\n".join(lines)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))


@pytest.mark.parametrize(
    ("code", "given", "settings"),
    [
        pytest.param("status = 3", b"", {}, id="a status"),
        pytest.param("raise SystemExit('why')", b"", {}, id="a text for its end"),
        pytest.param("raise SystemExit", b"", {}, id="an end without a status"),
        pytest.param("status = 256 + 7", b"", {}, id="a status over a byte"),
        pytest.param("1 / 0", b"", {}, id="an exception"),
        pytest.param("import os; os.kill(os.getpid(), 2); input()", b"", {}, id="SIGINT"),
        pytest.param("import os; os.kill(os.getpid(), 15); input()", b"", {}, id="SIGTERM"),
        pytest.param(WARNS, b"", {}, id="a warning"),
        pytest.param(WARNS, b"", {"env": {"PYTHONWARNINGS": "ignore"}}, id="no warning"),
        pytest.param("import atexit; atexit.register(print, 'end')", b"", {}, id="atexit"),
        pytest.param(
            "import threading, time; threading.Thread(target=lambda: (time.sleep(0.01), print('t'))).start()",
            b"", {}, id="a thread",
        ),
        pytest.param(STREAMS, b"", {}, id="streams"),
        pytest.param(STREAMS, b"", {"env": {"PYTHONUNBUFFERED": ""}}, id="streams with buffers"),
        pytest.param(READS, b"\xff\r\na\rb", {}, id="undecodable input"),
        pytest.param("print('\\udcff\\xe9')", b"", {}, id="undecodable output"),
        pytest.param("print('\\ud800')", b"", {}, id="output that is no text"),
        pytest.param("print('\\xe9')", b"", {"env": {"PYTHONIOENCODING": "ascii"}}, id="PYTHONIOENCODING"),
        pytest.param("print('\\xe9')", b"", {"env": {"LC_ALL": "POSIX"}}, id="another locale"),
        pytest.param("import os; print(os.umask(0))", b"", {"umask": 0o27}, id="a umask"),
        pytest.param("import os; print(os.umask(0))", b"", {}, id="the umask of the parent"),
        pytest.param(CLOCK, b"", {"env": {"TZ": "EST5EDT"}}, id="a time zone"),
        pytest.param(PLACE, b"", {"cwd": "/"}, id="a folder"),
        pytest.param("import sys; print(sys.path, sys.orig_argv)", b"", {}, id="its words"),
        pytest.param("import os; print(sorted(os.environ.items()))", b"", {}, id="its environment"),
        pytest.param("import os; print(os.listdir('/proc/self/fd'))", b"", {}, id="its descriptors"),
        pytest.param(
            "import os; print(os.getsid(0) == os.getpid())", b"", {"start_new_session": True}, id="a session"
        ),
        pytest.param(GROUP, b"", {"process_group": 0}, id="a group"),
        pytest.param(
            "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))",
            b"", {"preexec_fn": few_files}, id="a function before it",
        ),
    ],
)  # fmt: skip
def test_a_warm_program_does_what_one_from_nothing_does(
    code: str, given: bytes, settings: dict[str, Any]
) -> None:
    before = os.umask(0o35)
    try:
        assert outcome(warm, code, given, settings) == outcome(from_nothing, code, given, settings)
    finally:
        os.umask(before)


@pytest.mark.parametrize("start", [warm, from_nothing])
def test_a_disk_that_is_full_at_the_end_is_reported(start: Start) -> None:
    with Path("/dev/full").open("wb") as full:
        status, _, said = outcome(start, PRINTS, b"", {"stdout": full})
    assert status == (120 if "PYTHONUNBUFFERED" not in os.environ else 1)
    assert b"No space left on device" in said


def test_the_limits_and_the_ignored_signals_of_the_parent_are_its_own() -> None:
    code = (
        "import resource, signal; print(resource.getrlimit(resource.RLIMIT_CORE), signal.getsignal(1), "
        "signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
        assert outcome(warm, code, b"", {}) == outcome(from_nothing, code, b"", {})
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        signal.signal(signal.SIGHUP, before)


def test_a_descriptor_is_passed_on() -> None:
    reading, writing = os.pipe()
    try:
        with warm(f"import os; os.write({writing}, b'here')", pass_fds=[writing]) as program:
            assert program.wait(timeout=300) == 0
        assert os.read(reading, 9) == b"here"
    finally:
        os.close(reading)
        os.close(writing)


def test_a_folder_that_is_missing_is_refused_by_the_parent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        warm("", cwd=tmp_path / "missing")


def test_the_status_is_the_programs_whenever_it_is_asked_for() -> None:
    null = subprocess.DEVNULL
    streams = {"stdin": null, "stdout": null, "stderr": null}
    assert {warm("status = 2", **streams).wait(timeout=300) for _ in range(30)} == {2}
    for _ in range(10):
        waiting = warm("import time; time.sleep(600)", **streams)
        assert waiting.poll() is None
        waiting.kill()
        assert waiting.wait(timeout=300) == -9
