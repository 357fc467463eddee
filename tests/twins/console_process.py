"""`reader console` as a program on a pseudo-terminal, and a home whose camera is a short clip."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from reader_process import TWO_CARS
from warm_program import READER, WarmProgram

from firmware.run.prepared_home import prepare_home
from hw.serial_port import FdPort
from tests.tools.rehearsal import Hands


@contextlib.contextmanager
def console_program(home: Path, *, port: bool) -> Iterator[tuple[Hands, subprocess.Popen[bytes]]]:
    """The program on a pseudo-terminal: as its serial port, or as all three of its standard streams."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    words = ["--home", str(home), "console", *(["--port", os.ttyname(slave)] if port else [])]
    streams = subprocess.DEVNULL if port else slave
    program = WarmProgram(READER, *words, stdin=streams, stdout=streams, stderr=streams)
    try:
        yield Hands(FdPort(master, master, name="pty")), program
    finally:
        program.kill()
        program.wait(timeout=300)
        os.close(slave)
        os.close(master)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    prepare_home(folder)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace('source = "camera"', f'source = "{TWO_CARS}"'))
    return folder
