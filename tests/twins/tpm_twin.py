"""A software TPM in its own process (swtpm); skips if swtpm or tpm2-pytss is not installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import accepts, until

from tests.tools.ports import free_ports


@contextmanager
def software_tpm(folder: Path) -> Iterator[str]:
    """The TCTI of a TPM that keeps its state in `folder`."""
    program = shutil.which("swtpm")
    if program is None or importlib.util.find_spec("tpm2_pytss") is None:
        pytest.skip("swtpm or tpm2-pytss not installed")
    port, control = free_ports(2)  # the driver expects adjacent ports
    where = "type=tcp,bindaddr=127.0.0.1,port="
    lines = ["--server", f"{where}{port}", "--ctrl", f"{where}{control}"]
    process = subprocess.Popen(
        [program, "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", "startup-clear", *lines],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: process.poll() is not None or accepts(control))
        assert process.poll() is None, "swtpm ended at once"
        yield f"swtpm:host=127.0.0.1,port={port}"
    finally:
        process.terminate()
        process.wait(timeout=300)
