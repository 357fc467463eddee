"""QEMU's arm64 machine with a card, a chip, a cable and, optionally, a folder as camera and a stick.

The technician's cable is the second serial port. The first shows the output of firmware and kernel, and
nothing reads from it. Secure Boot is on, with the bench's own keys.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from alpr_image.keys import KeyFolder
from alpr_image.workshop import BuildError, Workshop, run
from hw.serial_port import FdPort
from tests.tools.rehearsal import Hands

FIRMWARE = "/usr/share/AAVMF/AAVMF_CODE.secboot.fd"
VARIABLES = "/usr/share/AAVMF/AAVMF_VARS.fd"
OWNER = "a1b2c3d4-0000-4000-8000-00000000a1b2"


class VirtualMachine:
    """One unit. Its folder has the firmware variables and the chip's state, and survives a restart."""

    def __init__(self, shop: Workshop, folder: Path, *, keys: KeyFolder) -> None:
        self._shop, self.folder = shop, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.chip, self._variables = folder / "chip", folder / "variables.fd"
        self.chip.mkdir(exist_ok=True)
        if not self._variables.exists():
            _enroll(shop, keys, self._variables)
        self._process: subprocess.Popen[bytes] | None = None
        self._chip_process: subprocess.Popen[bytes] | None = None
        self.log = ""

    @contextlib.contextmanager
    def running(
        self,
        card: str,
        *,
        disks: tuple[Path, ...] = (),
        writable: tuple[Path, ...] = (),
        network: bool = True,
        chip: bool = True,
    ) -> Iterator[Hands]:
        """Power on, with hands at the cable; the power is cut at the end of the `with`.

        card: a QEMU drive, `file=PATH,format=raw` or `file=nbd+unix:///?socket=PATH,format=raw`.
        disks: read-only ones, besides those that are `writable`. chip: whether it has its TPM.
        """
        folder = self.folder
        for name in ("chip.sock", "cable", "log"):
            (folder / name).unlink(missing_ok=True)
        words = self._words(card, dict.fromkeys(disks, "on") | dict.fromkeys(writable, "off"))
        if chip:
            self._start_chip()
            words += ["-chardev", f"socket,id=chip,path={folder}/chip.sock"]
            words += ["-tpmdev", "emulator,id=tpm0,chardev=chip", "-device", "tpm-tis-device,tpmdev=tpm0"]
        if network:
            words += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
        with (folder / "qemu.txt").open("wb") as said:
            self._process = subprocess.Popen(  # noqa: S603 - fixed program
                self._shop.entered(words), stdout=subprocess.DEVNULL, stderr=said
            )
        _await(folder / "cable", self._process)
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(folder / "cable"))
        port = FdPort(line.fileno(), line.fileno(), name="cable")
        try:
            yield Hands(port)
        finally:
            self.cut()
            with contextlib.suppress(OSError):
                line.close()

    def _start_chip(self) -> None:
        folder = self.folder
        words = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.chip}"]
        words += ["--ctrl", f"type=unixio,path={folder}/chip.sock", "--flags", "startup-clear"]
        self._chip_process = subprocess.Popen(  # noqa: S603 - fixed program
            self._shop.entered(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _await(folder / "chip.sock")

    def _words(self, card: str, disks: dict[Path, str]) -> list[str]:
        """QEMU's command line without chip and network. disks: each with QEMU's `readonly`."""
        folder = self.folder
        words = ["qemu-system-aarch64", "-M", "virt,acpi=off", "-cpu", "cortex-a72", "-smp", "2"]
        words += ["-m", "1024", "-nodefaults", "-display", "none", "-monitor", "none"]
        words += ["-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE}"]
        words += ["-drive", f"if=pflash,format=raw,file={self._variables}"]
        log = f"socket,id=log,path={folder}/log,server=on,wait=off,logfile={folder}/log.txt,logappend=on"
        cable = f"socket,id=cable,path={folder}/cable,server=on,wait=off"
        words += ["-chardev", log, "-serial", "chardev:log", "-chardev", cable, "-serial", "chardev:cable"]
        words += ["-device", "virtio-rng-pci", "-device", "i6300esb", "-action", "watchdog=reset"]
        words += ["-drive", f"if=none,id=card,{card},cache=writeback"]
        words += ["-device", "virtio-blk-pci,drive=card,bootindex=1"]
        for number, (disk, readonly) in enumerate(disks.items()):
            words += ["-drive", f"if=none,id=d{number},file={disk},format=raw,readonly={readonly}"]
            words += ["-device", f"virtio-blk-pci,drive=d{number}"]
        return words

    def cut(self) -> None:
        """Cut the power."""
        for process in (self._process, self._chip_process):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(timeout=30)
        self._process = self._chip_process = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the machine, so that its card can be copied as a power cut would leave it."""
        if self._process is None:
            raise BuildError("the machine does not run")
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def said(self) -> str:
        """The whole output of firmware and kernel, over all starts."""
        path = self.folder / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def await_said(self, words: str, *, after: int = 0, limit_s: float = 300.0) -> int:
        """Wait for this output after position `after`; returns the position after it. Raises BuildError."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            at = self.said().find(words, after)
            if at >= 0:
                return at + len(words)
            if self._process is not None and self._process.poll() is not None:
                raise BuildError(f"the machine ended: {(self.folder / 'qemu.txt').read_text()[-400:]}")
            time.sleep(0.3)
        raise BuildError(f"waited {limit_s:.0f} s for {words!r}; the last it said:\n{self.said()[-1500:]}")


def _enroll(shop: Workshop, keys: KeyFolder, out: Path) -> None:
    """Make firmware variables that trust only the bench's key, so that Secure Boot is on."""
    certificate = keys.pem("boot.pem")
    shop.tool(
        "virt-fw-vars",
        "--input",
        VARIABLES,
        "--output",
        out,
        "--set-pk",
        OWNER,
        certificate,
        "--add-kek",
        OWNER,
        certificate,
        "--add-db",
        OWNER,
        certificate,
        "--sb",
    )


def _await(path: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    until = time.monotonic() + 60.0
    while not path.exists():
        if time.monotonic() > until or (process is not None and process.poll() is not None):
            raise BuildError(f"{path.name} does not come up")
        time.sleep(0.05)


def vfat_disk(shop: Workshop, label: str, files: dict[str, Path], out: Path, *, mib: int) -> Path:
    """A stick or a camera's folder: a FAT disk with these files."""
    out.unlink(missing_ok=True)
    with out.open("wb") as file:
        file.truncate(mib << 20)
    shop.tool("mkfs.vfat", "-n", label, out)
    stage = out.with_suffix(".files")
    run(["rm", "-rf", stage])
    stage.mkdir()
    for name, source in files.items():
        shutil.copyfile(source, stage / name)
    shop.tool("sh", "-c", f"mcopy -i {out} {stage}/* ::")
    run(["rm", "-rf", stage])
    return out
