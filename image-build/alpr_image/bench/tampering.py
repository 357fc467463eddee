"""Tampers with images (boot file, root, hash tree, update): none may start, and none may be installed."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from alpr_device.errors import UpdateRefusedError
from alpr_device.release import Running, copied_bundle, read_trust

from alpr_image import pack, wheels
from alpr_image.bench.machine import VirtualMachine
from alpr_image.bench.story import SHORT_CLIP, BenchStory
from alpr_image.image import Built, ImageParts
from alpr_image.pack import VerifiedRoot
from alpr_image.workshop import BuildError, Workshop, run
from storage.update_file import BUNDLE, PROOF, RELEASE

START_LIMIT_S = 600.0

Tamper = Callable[[bytearray, random.Random], None]


def _flip(data: bytearray, start: int, end: int, chance: random.Random, count: int = 1) -> None:
    for _ in range(count):
        data[chance.randrange(start, end)] ^= 1 << chance.randrange(8)


def _section(data: bytearray, name: bytes) -> tuple[int, int]:
    """(first byte, end) of a section of a PE file."""
    at = data.find(name.ljust(8, b"\0"))
    if at < 0:
        raise BuildError(f"the UKI has no section {name!r}")
    size, start = (
        int.from_bytes(data[at + 16 : at + 20], "little"),
        int.from_bytes(data[at + 20 : at + 24], "little"),
    )
    return start, start + size


def _in_section(name: bytes) -> Tamper:
    def alter(data: bytearray, chance: random.Random) -> None:
        _flip(data, *_section(data, name), chance)

    return alter


def _words(old: bytes, new: bytes) -> Tamper:
    def alter(data: bytearray, _chance: random.Random) -> None:
        start, end = _section(data, b".cmdline")
        at = data.find(old, start, end)
        if at < 0 or len(old) != len(new):
            raise BuildError(f"the command line has no {old!r}")
        data[at : at + len(new)] = new

    return alter


def boot_attacks() -> list[tuple[str, Tamper]]:
    """The changes to the UKI of both slots."""
    return [
        ("command line: panic=5 becomes panic=0", _words(b"panic=5", b"panic=0")),
        ("command line: credentials let in", _words(b"import_credentials=no", b"import_credentials=on")),
        ("command line: a getty let in", _words(b"getty_auto=no", b"getty_auto=on")),
        ("command line: one bit", _in_section(b".cmdline")),
        ("initramfs: one bit", _in_section(b".initrd")),
        ("initramfs: another bit", _in_section(b".initrd")),
        ("kernel: one bit", _in_section(b".linux")),
    ]


# Files that every start reads: a block that is never read is never checked, and does no harm.
READ_AT_EVERY_START = (
    "usr/lib/systemd/systemd",
    "usr/lib/aarch64-linux-gnu/libc.so.6",
    "usr/bin/python3.13",
    f"{wheels.FOLDER}/firmware/__pycache__/cli.cpython-313.pyc",  # in place of its source
    f"{wheels.FOLDER}/detector/models/plate-reader.tflite",
)
_EXTENT = re.compile(r"(?m)^\s*\d+:\s+\d+\.\.\s*\d+ \|\s*\d+ :\s+(\d+)\.\.\s*(\d+) \|")


def root_attacks(shop: Workshop, root: VerifiedRoot) -> Iterator[tuple[str, int, int]]:
    """Yield (what, first byte, bytes) to overwrite in the system partition of both slots."""
    root_bytes, hash_offset = root.image.stat().st_size, root.hash_offset
    for name in READ_AT_EVERY_START:
        extents = _EXTENT.findall(shop.tool("dump.erofs", "-e", f"--path=/{name}", root.image))
        if not extents:
            raise BuildError(f"/{name} has no blocks of its own in the root")
        start, end = map(int, extents[0])
        yield f"root: one block of {Path(name).name}", start, end - start
    yield "root: its superblock", 1024, 128
    yield "verity: salt in the superblock", hash_offset + 88, 32
    yield "verity: the top of the tree", hash_offset + 4096, 4096
    yield "verity: a level below", hash_offset + 8192, 65536
    yield "verity: the whole tree", hash_offset + 4096, root_bytes - hash_offset - 4096


def tampered(story: BenchStory, parts: ImageParts, built: Built, *, booted: bool = True) -> None:
    """Check that no tampered image starts or can be installed.

    booted: the virtual machine must refuse them; else this machine's tools apply the same rules in minutes.
    """
    chance = random.Random(15)  # noqa: S311 - a bench, not a key
    uki = (built.boot.parent / "unit.efi").read_bytes()
    for what, alter in boot_attacks():
        with story.step(f"refuses a tampered image, {what}") as facts:
            data = bytearray(uki)
            alter(data, chance)
            changed = story.folder / "tampered.efi"
            changed.write_bytes(data)
            facts.append(_boot_refused(story, parts, built, changed, booted=booted))
    for what, start, length in root_attacks(story.shop, built.root):
        with story.step(f"refuses a tampered image, {what}") as facts:
            facts.append(_root_refused(story, built, start, chance.randbytes(length), booted=booted))
    for what, member in (("bundle", BUNDLE), ("release", RELEASE), ("proof", PROOF)):
        with story.step(f"refuses a tampered update, one bit of its {what}") as facts:
            facts.append(_update_refused(story, parts, built, member.encode(), chance))


def _boot_refused(story: BenchStory, parts: ImageParts, built: Built, changed: Path, *, booted: bool) -> str:
    """Check that the firmware refuses the file, or sbverify, which checks the signature in the same way."""
    shop = story.shop
    if not booted:
        certificate = parts.keys.pem("boot.pem")
        said = shop.tool("sh", "-c", f"sbverify --cert {certificate} {changed} 2>&1; true")
        good = shop.tool("sh", "-c", f"sbverify --cert {certificate} {built.boot.parent}/unit.efi 2>&1; true")
        if "Signature verification OK" not in good or "Signature verification OK" in said:
            raise BuildError(f"the signature holds over a changed file: {said[-200:]}")
        return said.strip().splitlines()[-1]
    slot = pack.boot_partition(shop, {"EFI/BOOT/BOOTAA64.EFI": changed}, story.folder / "boot.img")
    machine, card = story.fresh_unit(built, "tampered")
    for name in ("boot_a", "boot_b"):
        pack.write_partition(card, name, slot)
    return _comes_not_up(machine, card, "Access Denied|Security Violation|failed to load|not found")


def _root_refused(story: BenchStory, built: Built, start: int, noise: bytes, *, booted: bool) -> str:
    """Check that the kernel refuses the root and panics, or veritysetup, which reads every block."""
    if not booted:
        changed, root = story.folder / "tampered.root", built.root
        run(["cp", "--reflink=auto", root.image, changed])
        with changed.open("r+b") as file:
            file.seek(start)
            file.write(noise)
        words = f"veritysetup verify {changed} {changed} {root.root_hash} --hash-offset={root.hash_offset}"
        said = story.shop.tool("sh", "-c", f"{words} 2>&1 && echo HOLDS; true")
        changed.unlink()
        if "HOLDS" in said:
            raise BuildError("the hash holds over a changed root")
        return said.strip().splitlines()[-1]
    machine, card = story.fresh_unit(built, "tampered")
    with card.open("r+b") as file:
        for name in ("system_a", "system_b"):
            file.seek(pack.partition_start_mib(name) * pack.MIB + start)
            file.write(noise)
    frames = story.clip_disk(frames=SHORT_CLIP)
    refusal = "is corrupted|restart in 5 s|Kernel panic"
    return _comes_not_up(machine, card, refusal, up="slot [AB] committed", disks=(frames,))


def _comes_not_up(
    machine: VirtualMachine,
    card: Path,
    words: str,
    *,
    up: str = "Started alpr-console",
    disks: tuple[Path, ...] = (),
) -> str:
    """Wait until firmware or kernel refuses; returns the line. Raises BuildError if the unit comes up."""
    with machine.running(f"file={card},format=raw", disks=disks, network=False):
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until:
            said = machine.said()
            if re.search(up, said):
                raise BuildError("the tampered image came up")
            if match := re.search(words, said):
                return match[0]
            time.sleep(0.5)
    raise BuildError(f"neither refused nor up in {START_LIMIT_S:.0f} s: {machine.said()[-300:]}")


def _update_refused(
    story: BenchStory, parts: ImageParts, built: Built, member: bytes, chance: random.Random
) -> str:
    """Check on this machine that a unit's own check refuses the update."""
    data = bytearray(built.update.read_bytes())
    at = data.find(member) + 512
    _flip(data, at, at + 100, chance)
    changed, target = story.folder / "tampered.update", story.folder / "tampered.raucb"
    changed.write_bytes(data)
    trust = read_trust(parts.keys.trust.read_text(encoding="utf-8"))
    try:
        with changed.open("rb") as source, target.open("wb") as out:
            copied_bundle(source, out, trust, Running(board=built.facts.board, version=0, floor=0))
    except UpdateRefusedError as error:
        return str(error)[:100]
    finally:
        target.unlink(missing_ok=True)
    raise BuildError("the tampered update was taken")
