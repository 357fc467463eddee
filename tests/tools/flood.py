"""Floods a server on loopback for minutes while a unit syncs and a person works, and prints the outcome.

python -m tests.tools.flood --minutes 30

The attacks run at once, from other loopback addresses than the unit's and the person's: bare TCP connections
(renewed when dropped), TLS clients that send a request byte by byte, and wrong logins of known and unknown
names as fast as they are answered, up to --logons per second. Each round a unit stores and syncs, and a
person logs in with the right password, asks, and logs out. It prints a line per minute, then the totals:
counts and ratios, since seconds depend on the machine. Exits with 1 if a unit or a person was shut out, or
the server ended.
"""

from __future__ import annotations

import argparse
import resource
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

import httpx  # noqa: E402
import pyotp  # noqa: E402
import structlog  # noqa: E402
from sync_twins import DepartmentProcess, Unit, bare_home, issue_code, running  # noqa: E402

from storage.errors import StorageError  # noqa: E402
from sync.department.commands.client import RemoteDesk  # noqa: E402
from sync.department.desk.inquiry.forms import NothingForm  # noqa: E402
from sync.department.desk.log_state import FOLDER  # noqa: E402
from sync.department.desk.people.calls import HandedOver  # noqa: E402
from sync.department.policy.refusals import DeskRefusal  # noqa: E402
from sync.department.server.open_desk import first_administrator  # noqa: E402
from sync.errors import LinkError  # noqa: E402
from tests.tools.memory import resident_mb  # noqa: E402

BARE_FROM, DRIP_FROM, LOGONS_FROM = "127.0.0.2", "127.0.0.3", "127.0.0.4"
STEP_S = 30  # each code works only once
NAMES = ("chief", "super", "comm1", "nobody", "root", "admin")


@dataclass(slots=True)
class Flood:
    """The attacks and their counts."""

    process: DepartmentProcess
    bare: int
    dripping: int
    logons_a_second: int
    stop: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)

    def bare_connections(self, port: int) -> None:
        """Hold `bare` silent connections; open dropped ones again."""
        held: list[socket.socket] = []
        try:
            while not self.stop.is_set():
                held = [one for one in held if _lives(one)]
                while len(held) < self.bare and not self.stop.is_set():
                    try:
                        held.append(socket.create_connection(("127.0.0.1", port), 2, (BARE_FROM, 0)))
                        self.counts["bare connections opened"] += 1
                    except OSError:
                        self.counts["bare connections refused"] += 1
                        break
                self.counts["most bare at once"] = max(self.counts["most bare at once"], len(held))
                self.stop.wait(1)
        finally:
            for one in held:
                one.close()

    def drip(self, port: int) -> None:
        """Send requests at a byte per second, on connections after their TLS handshake."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        held: list[tuple[ssl.SSLSocket, int]] = []
        request = b"POST /desk/session/logon HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n"
        while not self.stop.is_set():
            left: list[tuple[ssl.SSLSocket, int]] = []
            for one, at in held:
                try:
                    one.send(request[at : at + 1] or b"x")
                    left.append((one, at + 1))
                except OSError:
                    self.counts["slow clients cut off"] += 1
                    one.close()
            held = left
            while len(held) < self.dripping and not self.stop.is_set():
                try:
                    raw = socket.create_connection(("127.0.0.1", port), 5, (DRIP_FROM, 0))
                    held.append((context.wrap_socket(raw), 0))
                    self.counts["slow clients opened"] += 1
                except OSError:
                    self.counts["slow clients refused"] += 1
                    break
            self.stop.wait(1)
        for one, _ in held:
            one.close()

    def logons(self, port: int, number: int, threads: int) -> None:
        """Try wrong logins, at this thread's share of the rate."""
        transport = httpx.HTTPTransport(verify=False, local_address=LOGONS_FROM)
        rate = self.logons_a_second / threads
        with httpx.Client(transport=transport, timeout=30) as client:
            made, began = 0, time.monotonic()
            while not self.stop.is_set():
                name = NAMES[(made + number) % len(NAMES)]
                body = {"user": name, "password": "x" * 300, "code": f"{made % 1_000_000:06}"}
                try:
                    url = f"https://127.0.0.1:{port}/desk/session/logon"
                    self.counts[f"logins answered {client.post(url, json=body).status_code}"] += 1
                except httpx.HTTPError:
                    self.counts["logins without an answer"] += 1
                made += 1
                self.stop.wait(max(0.0, made / rate - (time.monotonic() - began)))


def _lives(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        one.setblocking(True)


class Person:
    """The first administrator, who logs in, asks for the policy, and logs out."""

    def __init__(self, given: HandedOver, url: str, authority: Path) -> None:
        self._given, self._url, self._authority = given, url, str(authority)
        self._totp = pyotp.parse_uri(given.totp_uri)
        self._step = 0

    def works(self) -> bool | None:
        """Whether the person got through; None while the last code's half minute is not over."""
        step = int(time.time()) // STEP_S
        if step <= self._step:
            return None
        self._step = step
        try:
            with RemoteDesk(self._url, ca=self._authority) as desk:
                code = self._totp.at(int(time.time()))  # type: ignore[attr-defined]
                desk.logon(self._given.user, self._given.password, code, send_password=True)
                desk.call("policy/read", NothingForm())
                desk.logoff()
        except (DeskRefusal, LinkError) as error:
            print(f"the person was shut out: {error}", flush=True)
            return False
        return True


def _size_of(*paths: Path) -> int:
    return sum(one.stat().st_size for path in paths for one in path.parent.glob(path.name) if one.is_file())


def run(minutes: float, *, bare: int, dripping: int, logons: int, every_s: float) -> int:
    """Flood for ``minutes``; returns 1 if a unit or a person was shut out."""
    with tempfile.TemporaryDirectory() as temporary:
        home = bare_home(Path(temporary) / "home")
        given = first_administrator(home, "chief", "Chief Example")
        unit = Unit(Path(temporary) / "unit")
        with running(home) as process:
            unit.enroll(issue_code(home, "car-1"))
            settings = home.settings
            authority = home.authority / "ca.pem"
            person = Person(given, f"https://localhost:{settings.desk_port}", authority)
            flood = Flood(process, bare, dripping, logons)
            threads = 20
            work = [
                threading.Thread(target=flood.bare_connections, args=(settings.unit_port,)),
                threading.Thread(target=flood.drip, args=(settings.desk_port,)),
                *(
                    threading.Thread(target=flood.logons, args=(settings.desk_port, n, threads))
                    for n in range(threads)
                ),
            ]
            before = resident_mb(process.pid)
            log = home.path / FOLDER / "*.sqlite*"
            events, entries = home.path / "serve.log", _size_of(log)
            for one in work:
                one.start()
            most, began, told = before, time.monotonic(), 0
            try:
                while time.monotonic() - began < minutes * 60:
                    round_began = time.monotonic()
                    flood.counts["rounds"] += 1
                    unit.add(2)
                    try:
                        outcome = unit.attempt().outcome
                    except StorageError as error:
                        outcome = type(error).__name__
                    flood.counts["syncs done"] += outcome == "done"
                    worked = person.works()
                    flood.counts["logins of the person"] += worked is not None
                    flood.counts["logins of the person that went through"] += worked is True
                    most = max(most, resident_mb(process.pid))
                    if int((time.monotonic() - began) / 60) > told:
                        told += 1
                        print(
                            f"minute {told}: {flood.counts['syncs done']} of {flood.counts['rounds']} syncs, "
                            f"{flood.counts['logins of the person that went through']} of "
                            f"{flood.counts['logins of the person']} logins of the person, "
                            f"{resident_mb(process.pid)} MB, {_size_of(events)} bytes of events",
                            flush=True,
                        )
                    time.sleep(max(0.0, every_s - (time.monotonic() - round_began)))
            finally:
                flood.stop.set()
                for one in work:
                    one.join(60)
            counts = flood.counts
            for name in sorted(counts):
                print(f"{name}: {counts[name]}")
            print(f"memory: {before} MB before, {most} MB at most, ratio {most / max(1, before):.2f}")
            print(f"access log: {entries} to {_size_of(log)} bytes; events: {_size_of(events)} bytes")
        unit.close()
    tried = counts["rounds"] + counts["logins of the person"]
    shut_out = tried - counts["syncs done"] - counts["logins of the person that went through"]
    print(f"shut out: {shut_out} of {tried}")
    return 1 if shut_out else 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--bare", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=200)
    parser.add_argument("--logons", type=int, default=1000, help="a second, at most")
    parser.add_argument("--every", type=float, default=20, help="seconds between rounds of unit and person")
    args = parser.parse_args()
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return run(args.minutes, bare=args.bare, dripping=args.slow, logons=args.logons, every_s=args.every)


if __name__ == "__main__":
    sys.exit(main())
