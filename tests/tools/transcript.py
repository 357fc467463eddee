"""Records a technician's first visit over a pseudo-terminal, for the console's README.

Department, unit and laptop run as in the field; only the cable is a pty, and the camera is a folder.

    python -m tests.tools.transcript --source FOLDER [--readme firmware/console/README.md]
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from firmware.console.service import socket_of
from tests.tools.ports import free_port
from tests.tools.rehearsal import Hands, as_shown, console_of

BEGIN, END = "<!-- transcript: begin -->", "<!-- transcript: end -->"
START_LIMIT_S = 300.0
ROUND_S = 12.0  # time for some vehicles to pass
INVITATION = "press return"
_CHALLENGE = re.compile(r"[A-Za-z0-9._@-]+:[a-z2-7]{32}:[0-9a-f]{4}")


def programs() -> tuple[str, str]:
    """The programs (reader, department) beside the running Python."""
    folder = Path(sys.executable).parent
    return str(folder / "reader"), str(folder / "department")


class Visit:
    """A department, a new unit and a technician with a laptop, in one folder."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        self._reader, self._department = programs()
        self._source = source
        self.unit, self.office = folder / "unit", folder / "office"
        self.key = folder / "t.okafor"
        self.server: subprocess.Popen[bytes] | None = None

    def call(self, program: str, home: Path, *words: str) -> str:
        """Run one command; returns its standard output. Raises CalledProcessError."""
        done = subprocess.run(
            [program, "--home", str(home), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_LIMIT_S,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    @contextlib.contextmanager
    def department(self) -> Iterator[str]:
        """Run a department; yields the enrollment code of car-12."""
        ports = ("--unit-port", str(free_port()), "--desk-port", str(free_port()))
        named = ("--name", "Monrovia PD", "--host", "127.0.0.1")
        self.call(self._department, self.office, "init", *named, *ports)
        code = self.call(self._department, self.office, "enroll", "--name", "car-12").strip()
        self.server = server = subprocess.Popen(
            [self._department, "--home", str(self.office), "serve"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until_s = time.monotonic() + START_LIMIT_S
            for port in (int(ports[1]), int(ports[3])):
                while not _answers(port):
                    if server.poll() is not None or time.monotonic() > until_s:
                        raise RuntimeError("the department's server did not start")
                    time.sleep(0.2)
            yield code
        finally:
            server.terminate()
            server.wait(timeout=START_LIMIT_S)

    @contextlib.contextmanager
    def cable(self) -> Iterator[Hands]:
        """Run `reader console` on a pty; yields hands at the other end."""
        self.call(self._reader, self.unit, "init")
        config = self.unit / "config.toml"
        text = config.read_text()
        config.write_text(re.sub(r"^source = .*$", f'source = "{self._source}"', text, flags=re.MULTILINE))
        with console_of(self.unit, [self._reader]) as hands:
            yield hands

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Run `reader run` as the unit's service starts it."""
        reader = subprocess.Popen(
            [self._reader, "--home", str(self.unit), "run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until_s = time.monotonic() + START_LIMIT_S
            while not socket_of(self.unit).exists():
                if reader.poll() is not None or time.monotonic() > until_s:
                    raise RuntimeError("the reader did not start")
                time.sleep(0.2)
            yield
        finally:
            reader.terminate()
            reader.wait(timeout=START_LIMIT_S)

    def grant(self, unit: str) -> str:
        """Sign a grant for the technician's key at the office; returns what it printed."""
        return self.call(
            self._department, self.office, "grant", "issue", "--person", "t.okafor", "--role", "technician",
            "--key", str(self.key) + ".pub", "--purpose", "maintenance: installation",
            "--work-order", "WO-2026-118", "--unit", unit, "--for", "30d",
            "--out", str(self.folder / "t.okafor.grant"),
        )  # fmt: skip

    def answer(self, challenge: str) -> list[str]:
        """The laptop's answer, in lines."""
        words = ("grant", "--grant", str(self.folder / "t.okafor.grant"), "--key", str(self.key), challenge)
        return self.call(self._reader, self.folder / "laptop", *words).splitlines()


def visit(folder: Path, source: Path) -> str:
    """Install, aim, enroll, log in, sync and leave; returns what the terminal showed."""
    trip = Visit(folder, source)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "t.okafor", "-f", str(trip.key)],
        check=True,
    )
    with trip.department() as code, trip.cable() as hands:
        hands.wait_for(INVITATION)
        hands.type("")
        hands.wait_for("reader-1> ")
        hands.ask("help", "reader-1> ")
        hands.type("selftest")
        hands.wait_for("reader-1> ")
        hands.type("aim preview 1")
        hands.wait_for("reader-1> ")
        hands.type(f"enroll {code}")
        hands.wait_for("this unit is car-12 (")
        unit = hands.wait_for(")").removesuffix(")")
        hands.wait_for("car-12> ")
        trip.grant(unit)
        hands.type("exit")
        hands.wait_for(INVITATION)
        return _under_way(trip, hands)


def _under_way(trip: Visit, hands: Hands) -> str:
    """The rest of the visit, at a unit that reads."""
    with trip.reading():
        time.sleep(ROUND_S)
        hands.type("")
        hands.wait_for("car-12> ")
        hands.type("login")
        shown = hands.wait_for("gives up):")
        match = _CHALLENGE.search(shown)
        if match is None:
            raise RuntimeError("no challenge came")
        for line in trip.answer(match[0]):
            hands.type(line)
        inside = "car-12 t.okafor> "
        hands.wait_for(inside)
        for command in ("status", "aim 0", "camera gain_max 6", "sync now", "status", "storage", "network"):
            hands.type(command)
            hands.wait_for(inside)
        hands.type("exit")
        hands.wait_for("bye")
        return tidy(hands.seen[: hands.seen.rindex("bye") + len("bye")])


def tidy(seen: str) -> str:
    """The session as the page shows it, with its one-time values shortened."""
    text = re.sub(r"([a-z2-7]{8})[a-z2-7]{24}(:[0-9a-f]{4})", r"\1...\2", as_shown(seen))
    text = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b(?:\n +[0-9a-f]+$)?", r"\1...", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def write_into(readme: Path, session: str) -> None:
    """Replace the session between the two marks."""
    page = readme.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    readme.write_text(f"{head}{BEGIN}\n```text\n{session}\n```\n{END}{tail}", encoding="utf-8")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    """Record one visit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, type=Path, help="folder of pictures that the camera shows")
    parser.add_argument("--readme", type=Path, help="page to renew (default: print)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="visit-") as folder:
        session = visit(Path(folder), args.source.resolve())
    if args.readme is None:
        print(session)
    else:
        write_into(args.readme, session)
    return 0


if __name__ == "__main__":
    sys.exit(main())
