"""Heavy modules that a command must not load: people at a serial console notice a slow start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EYES = ("numpy", "PIL", "ai_edge_litert", "firmware.frames.pipeline", "detector.passes")
NETWORK = ("httpx", "http.server", "sync.runner", "firmware.alerts.page_server")
LIGHT = [
    "audit",
    "export",
    "grant",
    "hold",
    "hotlist",
    "person",
    "query",
    "release",
    "retention",
    "status",
    "verify",
]
DESK = ("alembic", "asyncpg", "boto3", "c2pa", "OpenSSL", "psycopg", "webauthn", "PIL", "numpy")
READING = ("firmware.frames.pipeline", "detector.passes", "firmware.run.one_run", "http.server")


@pytest.mark.thorough_rows
@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (["firmware.cli", *(f"firmware.commands.{name}" for name in LIGHT)], (*EYES, *NETWORK)),
        (
            ["sync.department.commands.serve", "sync.department.commands.user"],
            ("webauthn", "OpenSSL", "alembic"),
        ),
        (
            ["sync.department.cli", "sync.department.commands.verify", "sync.department.commands.witness"],
            ("sync.department.desk.operations", "sync.department.desk.openapi", "uvicorn", *DESK),
        ),
        ([f"firmware.commands.{name}" for name in ("console", "enroll", "init", "sync")], READING),
    ],
)
def test_a_command_loads_nothing_that_it_does_not_use(modules: list[str], heavy: tuple[str, ...]) -> None:
    look = f"import sys, {', '.join(modules)}; print(*sorted({set(heavy)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
