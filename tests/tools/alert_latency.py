"""Times alerts from the last frame of a pass to the page in the car and to the desk's event.

python -m tests.tools.alert_latency [--passes 1000] [--units 50]

A department's server runs over loopback TLS in its own process; its witness is a folder on the same disk. The
units have their own ledgers, uplinks, boards and pages, ten units to a process. Each pass is 2 to 8 frames of
1920 x 1080 at 20 frames per second through tracker, vote and ledger; scripted eyes read the plate instead of
the nets. An alert has reached the car when its page lists it, and the desk when a dispatcher's event stream
names it. An alert that arrives before the vehicle has gone counts as 0 ms. The officer's session at the page
is not proven. Prints medians, 99th percentiles and the load of the machine; asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

import httpx  # noqa: E402
import numpy as np  # noqa: E402
import pyotp  # noqa: E402
import structlog  # noqa: E402
from scripted_eyes import DECODING, PLATE, ScriptedEyes  # noqa: E402
from sync_twins import Unit, issue_code  # noqa: E402
from today_department import found_today, listen_on_loopback, opened  # noqa: E402

from detector.track import Tracker  # noqa: E402
from firmware.alerts.lasting_time import LastingTime  # noqa: E402
from firmware.alerts.running import alerting  # noqa: E402
from firmware.alerts.sessions import Officer, PageSessions  # noqa: E402
from firmware.custody.bookkeeper import Bookkeeper  # noqa: E402
from firmware.frames.pipeline import EndedPass, PipelineCounts, ReadStage  # noqa: E402
from firmware.frames.record import Surroundings  # noqa: E402
from firmware.run.uplink_thread import UplinkThread  # noqa: E402
from hw.camera import Frame  # noqa: E402
from hw.clock import SystemClock, TimeState, UtcTime  # noqa: E402
from storage.times import HOUR_US, now_us  # noqa: E402
from sync.department.desk import api  # noqa: E402
from sync.department.ground.home import DepartmentHome  # noqa: E402
from sync.department.server import server  # noqa: E402
from sync.department.server.server import Department  # noqa: E402
from sync.department.units.hot_lists import Offer, publish_list  # noqa: E402
from sync.hot_lists.entry import ListEntry  # noqa: E402
from sync.schedule import Schedule  # noqa: E402
from tests.tools.ports import free_port  # noqa: E402

UNITS_A_PROCESS = 10
INTERVAL_S = 0.05
SHAPE = (1080, 1920)
WAIT_S = 60.0
GONE_S = 2.5  # by then the previous pass has ended


def plate_of(unit: int, number: int) -> str:
    """The plate of a unit's pass."""
    return f"{unit % 10}{'ABCDEFGHJK'[unit // 10 % 10]}XR{number:03d}"


# the department --------------------------------------------------------------------------------------------


def found(folder: Path, units: int, passes: int) -> DepartmentHome:
    """A department with people, a witness and a hot list; it listens on loopback."""
    home = listen_on_loopback(found_today(folder))
    department = Department(home)
    entries = [
        ListEntry(
            plate=plate_of(unit, number), state="", category="stolen-vehicle", reason="latency", case="1"
        )
        for unit in range(units)
        for number in range(passes)
    ]
    offer = Offer(
        list_id="doj", issuer="DOJ", source="SVS", agency="", extracted_us=now_us() - HOUR_US, hours=24
    )
    publish_list(home, department.store, offer, entries, now_us())
    department.close()
    return home


def serve(folder: Path) -> None:
    """The server's process: prints a dispatcher's token once it listens; writes alerts.json at its end."""
    with opened(folder) as department:
        front = department.front
        password, secret = json.loads((folder / "secrets.json").read_text())["secrets"]["disp1"]
        code = pyotp.TOTP(secret).at(front.desk.now_us() // 1_000_000)
        token = front.desk.logons.logon("disp1", password, code)
        try:
            asyncio.run(
                server.serve(
                    department.server, api.routes(front), lambda _units, _desk: print(token, flush=True)
                )
            )
        finally:
            rows = front.desk.book.alerts.rows
            numbers = {str(row.number): name for name, row in rows.items()}
            (folder / "alerts.json").write_text(json.dumps(numbers))


class Dispatcher:
    """Follows the stream of alerts; notes when each one's number came, in seconds since 1970."""

    def __init__(self, home: DepartmentHome, token: str) -> None:
        self.told: dict[str, float] = {}
        self._url = f"https://localhost:{home.settings.desk_port}/desk/alert/events"
        self._headers = {"authorization": f"Bearer {token}"}
        self._authority = str(home.authority / "ca.pem")
        self.listening = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        import ssl

        context = ssl.create_default_context(cafile=self._authority)
        with (
            httpx.Client(verify=context, timeout=None, trust_env=False) as client,  # noqa: S113 - a stream
            client.stream("GET", self._url, headers=self._headers) as answer,
        ):
            answer.raise_for_status()
            for line in answer.iter_lines():
                self.listening.set()
                if line.startswith("data:"):
                    data = json.loads(line[5:])
                    if data.get("state") == "raised":
                        self.told.setdefault(data["alert"], time.time())


# the units -------------------------------------------------------------------------------------------------


class PatrolCar:
    """One unit: its own ledger, uplink, board and page, and the laptop that shows the page."""

    def __init__(self, folder: Path, index: int, code: str, stack: ExitStack) -> None:
        self._index = index
        log: Any = structlog.get_logger("latency")
        self._unit = Unit(folder / f"unit{index}")
        stack.callback(self._unit.close)
        self._unit.enroll(code)
        self._unit.attempt()
        ledger, home = self._unit.ledger, self._unit.home
        uplink = stack.enter_context(UplinkThread(ledger, home, Schedule(), log=log))
        port = free_port()
        self._alerts = stack.enter_context(
            alerting(
                home, ledger, self._unit.folder, DECODING.text.jurisdictions,
                LastingTime.of(ledger.store.time), log, port=port,
                changed=lambda _alert, _what: uplink.nudge(),
            )
        )  # fmt: skip
        until = time.monotonic() + WAIT_S
        while not self._alerts.held.lists and time.monotonic() < until:
            time.sleep(0.05)
        self._reads: dict[int, int] = {}
        self._on_page: dict[int, float] = {}
        self._raised: dict[int, int] = {}
        self._laptop = httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            verify=False,  # noqa: S501 - the certificate names the unit, not this address
            timeout=None,  # noqa: S113 - a stream
            trust_env=False,
        )
        stack.callback(self._laptop.close)
        threading.Thread(target=self._show, daemon=True).start()
        around = Surroundings(camera="front", position=None, lane=1, models=(), software="test", demo=False)
        watch = self._alerts.watch
        self._bookkeeper = Bookkeeper(
            ledger, around, clock=SystemClock(), overview_quality=85, announce=lambda _number, _read: None,
            log=log, matches=watch.matches, sounds=watch.sounds,
            alerts=watch.alerts, met=watch.met,
        )  # fmt: skip

    def _show(self) -> None:
        """Act as the page: at an alert's event, fetch the list that shows it."""
        with self._laptop.stream("GET", "/api/events") as words:
            for line in words.iter_lines():
                if line.startswith("data:") and json.loads(line[5:])["what"] == "raised":
                    shown = self._laptop.get("/api/alerts").json()["alerts"]
                    now = time.time()
                    for one in shown:
                        self._on_page.setdefault(one["number"], now)

    def drive(self, passes: int, every_s: float, rng: random.Random) -> Iterator[dict[str, Any]]:
        """Drive passes in turn; yields the times of each one's last frame and of its alert on the page."""
        names = {number + 1: plate_of(self._index, number) for number in range(passes)}
        stage = ReadStage(
            ScriptedEyes(names),
            Tracker(DECODING),
            counts=PipelineCounts(),
            on_progress=lambda _p: None,
            hand_on=self._take,
        )
        sequence = 0
        for number in range(passes):
            time.sleep(GONE_S + rng.uniform(0.0, 2.0) * every_s)
            known = set(self._alerts.board._open)
            frames = rng.randint(2, 8)
            last, at = 0.0, 0
            alert: int | None = None
            until = time.time() + WAIT_S
            while time.time() < until:
                began = time.monotonic()
                if at < frames:
                    last = time.time()
                stage.take(self._frame(number + 1 if at < frames else 0, at, sequence))
                sequence += 1
                at += 1
                fresh = set(self._alerts.board._open) - known
                alert = next(iter(fresh), None)
                if at >= frames and alert is not None and alert in self._on_page:
                    break
                time.sleep(max(0.0, INTERVAL_S - (time.monotonic() - began)))
            yield {
                "name": None if alert is None else f"{self._unit.ledger.store.log_id.hex()}/{alert}",
                "last": last,
                "page": self._on_page.get(alert or -1),
            }

    def _take(self, one: EndedPass) -> None:
        if one.in_view:
            self._bookkeeper.glance(one)
        else:
            self._bookkeeper.store([one])

    @staticmethod
    def _frame(index: int, at: int, sequence: int) -> Frame:
        """A frame with the vehicle of this index, or with none (0)."""
        picture = np.full(SHAPE, 30, dtype=np.uint8)
        picture[0, :4] = 0
        if index:
            x, y = 40 + at * 4, 60 + at * 4
            picture[0, :4] = (index, x, y, 1)
            picture[y : y + PLATE[1], x : x + PLATE[0]] = 200
        captured = UtcTime(us=now_us(), error_us=1000, state=TimeState.DISCIPLINED)
        return Frame(
            luma=picture, chroma=None, lores=None, sequence=sequence, captured=captured,
            exposure_us=800, gain=1.0, source="latency",
        )  # fmt: skip


def drive(folder: Path, first: int, codes: list[str], passes: int, every_s: float) -> None:
    """A process of units: prints one JSON line per pass."""
    officer = Officer(user="officer1", role="sworn-officer", organization="Monrovia PD")
    setattr(PageSessions, "find", lambda _self, _token: officer)  # noqa: B010 - a measurement
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    guard = threading.Lock()
    with ExitStack() as stack:
        cars = [PatrolCar(folder, first + at, code, stack) for at, code in enumerate(codes)]
        print("ready", flush=True)
        sys.stdin.readline()

        def run(car: PatrolCar, seed: int) -> None:
            for line in car.drive(passes, every_s, random.Random(seed)):
                with guard:
                    print(json.dumps(line), flush=True)

        threads = [threading.Thread(target=run, args=(car, first + at)) for at, car in enumerate(cars)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(5)  # the last alerts are still on their way to the desk


def _worker(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.tools.alert_latency", *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def told(name: str, found_ms: list[float], aim_ms: float) -> str:
    """One line of the results."""
    ordered = sorted(found_ms)
    ninety_nine = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    before = sum(one == 0.0 for one in ordered)
    return (
        f"{name}: {len(ordered)} passes, median {statistics.median(ordered):.0f} ms, "
        f"99th percentile {ninety_nine:.0f} ms, longest {ordered[-1]:.0f} ms, "
        f"{before} there before the vehicle had gone; aim {aim_ms:.0f} ms"
    )


def measure(folder: Path, units: int, passes: int, every_s: float) -> int:
    """Found a department, serve it, drive the units, print the results."""
    each = max(1, passes // units)
    home = found(folder, units, each)
    codes = [issue_code(home, f"car-{number}") for number in range(units)]
    department = _worker("--serve", folder)
    token = (department.stdout.readline() if department.stdout else "").strip()
    dispatcher = Dispatcher(home, token)
    workers = []
    for first in range(0, units, UNITS_A_PROCESS):
        some = json.dumps(codes[first : first + UNITS_A_PROCESS])
        workers.append(
            _worker("--drive", folder, "--first", first, "--codes", some, "--each", each, "--every", every_s)
        )
    for one in workers:
        if one.stdout is None or one.stdout.readline().strip() != "ready":
            for process in (*workers, department):
                process.kill()
            print("a process of units did not start", file=sys.stderr)
            return 1
    dispatcher.listening.wait(WAIT_S)
    began = time.monotonic()
    for one in workers:
        if one.stdin is not None:
            one.stdin.write("go\n")
            one.stdin.flush()
    lines: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda out=one.stdout: lines.extend(json.loads(line) for line in out or ()))
        for one in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s, load = time.monotonic() - began, os.getloadavg()
    department.terminate()
    department.wait(60)
    names = {name: number for number, name in json.loads((folder / "alerts.json").read_text()).items()}
    car, desk, lost = [], [], 0
    for line in lines:
        at = dispatcher.told.get(names.get(line["name"], ""))
        if line["page"] is None or at is None:
            lost += 1
            continue
        car.append(max(0.0, 1000 * (line["page"] - line["last"])))
        desk.append(max(0.0, 1000 * (at - line["last"])))
    print(
        f"{units} units, {len(lines)} passes in {took_s:.0f} s; load {load[0]:.1f} on {os.cpu_count()} cores"
    )
    print(told("page in the car", car, 300))
    print(told("event at the desk", desk, 1000))
    print(f"never seen within {WAIT_S:.0f} s: {lost}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Measure, or run as one of the measured processes."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.alert_latency", description=__doc__)
    parser.add_argument("--passes", type=int, default=1000)
    parser.add_argument("--units", type=int, default=50)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between the passes of a unit")
    for name in ("--serve", "--drive", "--codes"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    for name in ("--first", "--each"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if asked.serve:
        serve(Path(asked.serve))
        return 0
    if asked.drive:
        drive(Path(asked.drive), asked.first, json.loads(asked.codes), asked.each, asked.every)
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), asked.units, asked.passes, asked.every)


if __name__ == "__main__":
    sys.exit(main())
