"""A software TPM in a process of its own (swtpm); skips where swtpm or tpm2-pytss is not installed."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_pair() -> int:
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@contextmanager
def software_tpm(folder: Path) -> Iterator[str]:
    """The TCTI of a TPM that keeps its state in `folder`."""
    program = shutil.which("swtpm")
    if program is None or importlib.util.find_spec("tpm2_pytss") is None:
        pytest.skip("swtpm or tpm2-pytss not installed")
    port = free_pair()
    where = "type=tcp,bindaddr=127.0.0.1,port="
    lines = ["--server", f"{where}{port}", "--ctrl", f"{where}{port + 1}"]
    process = subprocess.Popen(
        [program, "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", "startup-clear", *lines],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port + 1)) == 0:
                    break
            time.sleep(0.05)
        yield f"swtpm:host=127.0.0.1,port={port}"
    finally:
        process.terminate()
        process.wait(timeout=120)
