"""Fifty people at the desk's pages at once: errors, median and 99th percentile for every page.

python -m tests.tools.desk_load [--people 50] [--minutes 10] [--think 3]

A department's server runs over loopback TLS in its own process; its witness is a folder on the same disk.
Each person has an account, logs in with password and code, and works as in a browser: home, search, results,
a picture, the queue, the alerts, the account, with a pause between pages. Prints the load of the machine and
the server's CPU time per request, which does not depend on that load. Exits with 1 if an answer has status
400 or above, or if a connection broke.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

import httpx  # noqa: E402
import pyotp  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from desk_twins import GROUND, PEOPLE  # noqa: E402
from desk_units import Pass, UnitTwin  # noqa: E402
from today_department import found_today, listen_on_loopback, opened  # noqa: E402

from storage.times import HOUR_US, SECOND_US, now_us  # noqa: E402
from sync.department.desk import api  # noqa: E402
from sync.department.desk.calling import Calling  # noqa: E402
from sync.department.desk.json_forms import to_json  # noqa: E402
from sync.department.ground.home import DepartmentHome  # noqa: E402
from sync.department.ground.tls import client_context  # noqa: E402
from sync.department.pages import app  # noqa: E402
from sync.department.policy.roles import Role  # noqa: E402
from sync.department.server import server  # noqa: E402

MARK = re.compile(r'name="mark" value="([^"]+)"')
ONCE = re.compile(r'name="once" value="([^"]+)"')
PLATES = 100
ROW = re.compile(r'action="(/search/\d+/picture)"')


def found(folder: Path, people: int) -> DepartmentHome:
    """A department with ``people`` dispatchers, three days of reads and a witness, to listen on loopback."""
    PEOPLE.update({f"load{number:02d}": Role.DISPATCHER for number in range(people)})
    home = listen_on_loopback(found_today(folder, people_since_us=3 * HOUR_US))
    unit = UnitTwin(home, Ed25519PrivateKey.generate(), "car-7")
    start_us = now_us() - HOUR_US
    passes = [
        Pass(plate=f"7ABC{at:03d}", at_us=start_us + at * SECOND_US, north_m=at) for at in range(PLATES)
    ]
    unit.deliver(passes, received_us=start_us + HOUR_US // 2)
    unit.close()
    return home


def serve(folder: Path) -> None:
    """The server's process; prints a line once it listens."""
    with opened(folder) as department:
        calling = Calling(department.front)
        routes = [*api.routes(department.front, calling), *app.routes(calling)]
        asyncio.run(server.serve(department.server, routes, lambda _units, _desk: print("ready", flush=True)))


@dataclass
class Figures:
    """Milliseconds of each kind of page, and what went wrong."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)


class Person:
    """One person in one browser."""

    def __init__(self, base: str, authority: Path, user: str, figures: Figures) -> None:
        self.user, self._figures = user, figures
        self._base = base
        self._client = httpx.AsyncClient(
            base_url=base, verify=client_context(str(authority)), timeout=30, trust_env=False
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, kind: str, method: str, path: str, fields: dict[str, str] | None = None) -> str:
        """Request a page and follow its redirects, timing each; returns the page's text."""
        while True:
            started = time.perf_counter()
            try:
                answer = await self._client.request(method, path, data=fields, headers={"origin": self._base})
            except httpx.HTTPError as error:
                self._figures.wrong.append(f"{kind}: {type(error).__name__}")
                return ""
            self._figures.times[kind].append(1000 * (time.perf_counter() - started))
            if answer.status_code >= 400:
                self._figures.wrong.append(f"{kind}: {answer.status_code}")
                return ""
            if not answer.is_redirect:
                return answer.text
            kind, method, path, fields = f"{kind} >", "GET", answer.headers["location"], None

    async def log_on(self, password: str, secret: str) -> None:
        """Log in with the password and the current code."""
        code = pyotp.TOTP(secret).now()
        await self.ask("log in", "POST", "/logon", {"user": self.user, "password": password, "code": code})

    async def work(self, until: float, think_s: float, chance: random.Random) -> None:
        """Visit the pages in rounds until the time is over."""
        while time.monotonic() < until:
            await self.ask("home", "GET", "/")
            await self._think(think_s, chance)
            await self._search(think_s, chance)
            for kind in ("queue", "alerts", "account"):
                await self.ask(kind, "GET", f"/{kind}")
                await self._think(think_s, chance)

    @staticmethod
    async def _think(think_s: float, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(0.5, 1.5) * think_s)

    async def _search(self, think_s: float, chance: random.Random) -> None:
        page = await self.ask("search form", "GET", "/search")
        await self._think(think_s, chance)
        plate = f"7ABC{chance.randrange(PLATES):03d}"
        asked = to_json(GROUND) | {"plate": plate, "range": "30"}
        found = await self.ask("search", "POST", "/search", asked | own_fields(page))
        row = ROW.search(found)
        await self._think(think_s, chance)
        if row:
            await self.ask("picture", "POST", row[1], {"row": "0"} | own_fields(found))
            await self._think(think_s, chance)


def own_fields(page: str) -> dict[str, str]:
    """The hidden fields that every form of a page has."""
    mark, once = MARK.search(page), ONCE.search(page)
    return {"mark": mark[1] if mark else "", "once": once[1] if once else ""}


async def everybody(
    home: DepartmentHome, folder: Path, people: int, seconds: float, think_s: float
) -> Figures:
    """Log everyone on, then let them work."""
    secrets = json.loads((folder / "secrets.json").read_text())["secrets"]
    figures = Figures()
    base = f"https://localhost:{home.settings.desk_port}"
    crowd = [Person(base, home.authority / "ca.pem", f"load{at:02d}", figures) for at in range(people)]
    await asyncio.gather(*(one.log_on(*secrets[one.user]) for one in crowd))
    print(f"{people} people logged in", file=sys.stderr, flush=True)
    until = time.monotonic() + seconds
    await asyncio.gather(*(one.work(until, think_s, random.Random(at)) for at, one in enumerate(crowd)))
    for one in crowd:
        await one.close()
    return figures


def cpu_s(pid: int) -> float:
    """Seconds of CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(figures: Figures) -> int:
    """Print the results; returns 1 if anything went wrong."""
    print(f"{'page':24} {'count':>7} {'median ms':>10} {'p99 ms':>8} {'max ms':>8}")
    every = {kind: times for kind, times in figures.times.items() if not kind.startswith("log in")}
    every["all but log in"] = [one for times in every.values() for one in times]
    for kind, times in sorted((every | figures.times).items()):
        ranked = sorted(times)
        p99 = ranked[min(len(ranked) - 1, int(0.99 * len(ranked)))]
        print(f"{kind:24} {len(times):7} {statistics.median(times):10.0f} {p99:8.0f} {ranked[-1]:8.0f}")
    print(f"wrong: {len(figures.wrong)} {sorted(set(figures.wrong))[:5]}")
    print("load of the machine:", *(f"{one:.1f}" for one in os.getloadavg()))
    return 1 if figures.wrong else 0


def main(argv: list[str] | None = None) -> int:
    """Found, serve, work, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--think", type=float, default=3.0, help="seconds between two pages, on average")
    parser.add_argument("--profile", type=Path, help="write the server's cProfile there")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.serve:
        serve(given.serve)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        home = found(folder, given.people)
        command = [sys.executable]
        command += ["-m", "cProfile", "-o", str(given.profile)] if given.profile else []
        with (folder / "serve.log").open("wb") as events:
            process = subprocess.Popen(
                [*command, str(HERE), "--serve", str(folder)], stdout=subprocess.PIPE, stderr=events
            )
        try:
            if process.stdout is None or not process.stdout.readline():
                print((folder / "serve.log").read_text()[-2000:], file=sys.stderr)
                return 2
            figures = asyncio.run(everybody(home, folder, given.people, given.minutes * 60, given.think))
            used_s = cpu_s(process.pid)
        finally:
            process.terminate()
            process.wait(30)
            if process.stdout is not None:
                process.stdout.close()
        requests = sum(len(times) for times in figures.times.values())
        print(f"processor of the server: {1000 * used_s / requests:.0f} ms a request, its start included")
        return report(figures)


if __name__ == "__main__":
    raise SystemExit(main())
