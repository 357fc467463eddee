"""A program that opens keys leaves no copy of its memory, and only its owner can read its files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, os, sys
from {module} import main
main(["--version"])
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), oct(os.umask(0)), flush=True)  # PR_GET_DUMPABLE
os.abort()
"""


def as_a_debugger_would() -> None:
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


@pytest.mark.skipif(sys.platform != "linux", reason="core dumps of Linux")
@pytest.mark.parametrize("module", ["firmware.cli", "sync.department.cli"])
def test_a_crash_of_either_program_dumps_no_core(tmp_path: Path, module: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=as_a_debugger_would,  # noqa: PLW1509 - one thread
    )
    assert process.stdout is not None
    said = process.stdout.read().splitlines()
    process.stdout.close()
    _, status = os.waitpid(process.pid, 0)
    process.returncode = 0
    assert said[-1] == "0 0o77"
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []
