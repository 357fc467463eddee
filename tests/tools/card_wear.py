"""Measures what a reader writes to its card: `python -m tests.tools.card_wear` (as root, for a loop device).

The home is on a fresh ext4 in a file, mounted through a loop device as the image mounts its data partition;
/sys/block/loopN/stat counts what reaches the device. First come pictures without a plate, then the drive-by
clip at its own pace. A loop device has no forced writes (FUA), so the kernel flushes it before and after the
last block of a journal commit; a device with forced writes is flushed only before that block.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent.parent
CLIP = PROJECT / "tests" / "replay" / "drive_by"
NOT_HERE = {"nofail", "noexec"}  # noexec: the home has no programs to run


def image_options() -> str:
    """The image's mount options for its data partition, without those that do not fit a loop device."""
    for line in (PROJECT / "image-build/image/etc/fstab").read_text().splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[1] == "/data":
            return ",".join(
                word for word in fields[3].split(",") if not word.startswith("x-") and word not in NOT_HERE
            )
    raise LookupError("the image's fstab has no /data")


@contextlib.contextmanager
def small_card(folder: Path, options: str, megabytes: int = 512) -> Iterator[tuple[Path, Path]]:
    """A mounted ext4, and the file in which the kernel counts what reaches its device."""
    image, mount = folder / "card.img", folder / "card"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    run("mkfs.ext4", "-q", str(image))
    device = run("losetup", "--find", "--show", str(image)).strip()
    try:
        run("mount", "-o", options, device, str(mount))
        try:
            yield mount, Path("/sys/block") / Path(device).name / "stat"
        finally:
            run("umount", str(mount))
    finally:
        run("losetup", "--detach", device)


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def counted(stat: Path) -> tuple[int, int, int]:
    """Bytes written, flushes and journal commits so far."""
    os.sync()
    fields = [int(word) for word in stat.read_text().split()]
    (journal,) = Path("/proc/fs/jbd2").glob(f"{stat.parent.name}-*/info")
    return fields[6] * 512, fields[15], int(journal.read_text().split()[0])


def reads_of(err: Path) -> int:
    return sum(
        json.loads(line).get("reads", 0) for line in err.read_text().splitlines() if '"stopped"' in line
    )


def measured(
    stat: Path, home: Path, source: Path, seconds: float, folder: Path, pace: str = "source"
) -> dict[str, float]:
    """Measure one run for ``seconds``, after it has settled."""
    err = folder / f"{source.name}.err"
    with err.open("w") as stderr:
        reader = subprocess.Popen(
            [sys.executable, "-m", "firmware.cli", "--home", str(home), "run", "--source", str(source),
             "--pace", pace],
            stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip
        try:
            time.sleep(20)
            before, begun = counted(stat), time.monotonic()
            time.sleep(seconds)
            after, took_s = counted(stat), time.monotonic() - begun
        finally:
            reader.send_signal(signal.SIGTERM)
            reader.wait(timeout=60)
    return {
        "seconds": took_s, "bytes": after[0] - before[0], "flushes": after[1] - before[1],
        "commits": after[2] - before[2],
        "reads_a_second": reads_of(err) / (took_s + 20),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle-s", type=float, default=300.0)
    parser.add_argument("--busy-s", type=float, default=120.0)
    parser.add_argument("--pace", choices=("source", "fast"), default="source", help="of the clip")
    parser.add_argument(
        "--mount", default=image_options(), help="options of mount, %(default)s; or: defaults"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gray = folder / "gray"
        gray.mkdir()
        for number in range(20):
            Image.new("L", (640, 480), 90 + number).save(gray / f"{number}.png")
        with small_card(folder, args.mount) as (mount, stat):
            home = mount / "home"
            run(sys.executable, "-m", "firmware.cli", "--home", str(home), "init")
            text = (home / "config.toml").read_text()
            (home / "config.toml").write_text(re.sub(r"replay_fps = .*", "replay_fps = 5.0", text))
            idle = measured(stat, home, gray, args.idle_s, folder)
            busy = measured(stat, home, CLIP, args.busy_s, folder, args.pace)
    hours = idle["seconds"] / 3600
    reads = busy["reads_a_second"] * busy["seconds"]
    print(json.dumps({
        "mount": args.mount,
        "idle_mb_an_hour": round(idle["bytes"] / 1e6 / hours, 2),
        "idle_flushes_an_hour": round(idle["flushes"] / hours),
        "reads": round(reads),
        "kb_a_read": round(busy["bytes"] / 1e3 / max(reads, 1)),
        "flushes_a_read": round(busy["flushes"] / max(reads, 1), 2),
        "commits_a_read": round(busy["commits"] / max(reads, 1), 2),
    }))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
