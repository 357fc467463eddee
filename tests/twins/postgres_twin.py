"""A PostgreSQL cluster for the tests, on a Unix socket; skips if no server is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.times import now_us
from sync.department.store.opening import open_store

VERSIONS = Path("/usr/lib/postgresql")


class Clock:
    """A department's clock that a test sets: `us`."""

    def __init__(self) -> None:
        self.us = now_us()

    def __call__(self) -> int:
        return self.us


def binaries() -> Path | None:
    """The folder of the newest installed PostgreSQL's server programs."""
    found = sorted(VERSIONS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True)
    return found[0].parent if found else None


def empty(url: str) -> None:
    """Remove everything from a database."""
    store = open_store(url, migrate=False)
    with store.write() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    store.close()


@contextmanager
def postgres_cluster(*settings: str, parent: Path | None = None) -> Iterator[str]:
    """The URL of a fresh, empty database. `settings`: NAME=VALUE; `parent`: the folder for its files."""
    folder = binaries()
    if folder is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt install postgresql)")
    try:
        import psycopg  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    except ModuleNotFoundError:
        pytest.skip("psycopg is not installed: pip install 'alpr-reader[postgres]'")
    place = Path(tempfile.mkdtemp(prefix="alpr-pg-", dir=parent))
    run = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if run:
        shutil.chown(place, "postgres")
    data = place / "data"
    try:
        _quiet([*run, str(folder / "initdb"), "-D", str(data), "-U", "alpr", "-A", "trust", "-E", "UTF8"])
        options = f"-c listen_addresses='' -c unix_socket_directories={place} -c shared_buffers=256MB"
        options += "".join(f" -c {setting}" for setting in settings)
        start = [*run, str(folder / "pg_ctl"), "-D", str(data), "-w", "-o", options, "-l", str(place / "log")]
        _quiet([*start, "start"])
        try:
            yield f"postgresql+psycopg://alpr@/postgres?host={place}"
        finally:
            _quiet([*run, str(folder / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _quiet(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[-1]}: {done.stderr[-500:]}")
