"""Times alerts from before a unit seals the read until the line is on a page, among other pages and units.

python -m tests.tools.alert_to_ink [--alerts 100] [--pages 50] [--units 50]

One page is in chromium, which reports when the line appeared. Of the others there is only what a page keeps
open: event streams of sessions that are logged in, four to a session, read by a separate process. Units raise
alerts in turn; each is timed until its line appears. Server, units and chromium's driver share one process.
Prints the load of the machine; exits with 1 if a page missed an alert.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT / "tests" / "twins"), str(ROOT)]

import httpx  # noqa: E402
from desk_cars import Car  # noqa: E402
from desk_twins import Department, found_department, open_copy  # noqa: E402
from page_browser import Windows, windows  # noqa: E402

from sync.department.desk.alerts.watchers import MOST_A_SESSION  # noqa: E402
from sync.department.pages.shield import SESSION_COOKIE  # noqa: E402

PATIENCE_S = 120
FOLLOWERS = ("disp1", "comm1", "super")
WATCH = (
    "window.inked = {}; new MutationObserver((all) => { for (const one of all) "
    "for (const node of one.addedNodes) if (node.querySelector) "
    "window.inked[node.querySelector('a').textContent] ??= Date.now() })"
    ".observe(document.querySelector('#arrived'), {childList: true})"
)


async def follow(base: str, tokens: list[str], pages: int) -> None:
    """Read ``pages`` streams until stdin ends, then print how many alerts each had.

    Prints a line once all are open.
    """
    had = [0] * pages
    opened = asyncio.Semaphore(0)

    async def read(client: httpx.AsyncClient, at: int) -> None:
        headers = {"cookie": f"{SESSION_COOKIE}={tokens[at // MOST_A_SESSION]}"}
        async with client.stream("GET", f"{base}/alerts/events", headers=headers, timeout=None) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("event: counts"):
                    opened.release()
                had[at] += line.startswith("event: alert")

    limits = httpx.Limits(max_connections=pages + 1)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as client:
        tasks = [asyncio.create_task(read(client, at)) for at in range(pages)]
        for _ in range(pages):
            await opened.acquire()
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(had), flush=True)


@dataclass
class Followers:
    """The other pages. `had`: how many alerts each got, known once they are closed."""

    had: list[int]


@contextmanager
def followers(department: Department, base: str, pages: int) -> Iterator[Followers]:
    """A process with ``pages`` pages that follow the alerts."""
    made = Followers([])
    if not pages:
        yield made
        return
    sessions = -(-pages // MOST_A_SESSION)
    tokens = [department.logon(FOLLOWERS[at % len(FOLLOWERS)], proves=False) for at in range(sessions)]
    command = [sys.executable, str(HERE), "--follow", base, "--pages", str(pages)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise SystemExit("the other pages have no pipe")
        process.stdin.write(json.dumps(tokens) + "\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != "open":
            raise SystemExit("the other pages did not open")
        yield made
        time.sleep(2)  # for what is still on its way
        process.stdin.close()
        made.had = json.loads(process.stdout.readline())


def to_ink(desk: Windows, department: Department, cars: list[Car], count: int) -> list[float]:
    """The milliseconds of each alert; the units raise them in turn."""
    one = desk.open()
    one.logon("disp1", then="/alerts")
    one.page.locator("#live", has_text="Live").wait_for()
    one.page.evaluate(WATCH)
    waits = []
    for at in range(count):
        raised = time.time()
        name = cars[at % len(cars)].raises()
        department.front.bell.ring()
        inked = None
        while inked is None:
            one.page.wait_for_timeout(20)
            row = department.desk.book.alerts.rows.get(name)
            line = f"Alert {row.number} was raised" if row is not None else ""
            inked = one.page.evaluate("line => window.inked[line] ?? null", line)
            if time.time() - raised > PATIENCE_S:
                raise SystemExit(f"an alert did not come to the page in {PATIENCE_S} s")
        waits.append(inked - 1000 * raised)
    return waits


def measure(alerts: int, pages: int, units: int) -> int:
    """Found a department, open the pages, raise the alerts, print the figures."""
    with tempfile.TemporaryDirectory() as made:
        shutil.copytree(found_department(Path(made) / "first"), Path(made) / "copy")
        department = open_copy(Path(made) / "copy")
        cars = [Car(department, f"car-{100 + at}") for at in range(units)]
        try:
            with (
                windows(department) as desk,
                followers(department, desk.base, pages - 1) as others,
            ):
                waits = sorted(to_ink(desk, department, cars, alerts))
        finally:
            for car in cars:
                car.unit.close()
            department.close()
    worst = waits[min(len(waits) - 1, int(len(waits) * 0.99))]
    print(
        f"alert to page, {alerts} alerts of {units} units, {pages} pages open: median "
        f"{statistics.median(waits):.0f} ms, 99th percentile {worst:.0f} ms"
    )
    print("load of the machine:", *(f"{one:.1f}" for one in os.getloadavg()))
    lacking = sum(had != alerts for had in others.had)
    if lacking:
        print(f"{lacking} of {len(others.had)} other pages lack alerts: {sorted(others.had)[:5]}")
    return 1 if lacking else 0


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.alert_to_ink", description=__doc__)
    parser.add_argument("--alerts", type=int, default=100)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--units", type=int, default=50)
    parser.add_argument("--follow", metavar="BASE", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.follow:
        asyncio.run(follow(args.follow, json.loads(sys.stdin.readline()), args.pages))
        return 0
    return measure(args.alerts, args.pages, args.units)


if __name__ == "__main__":
    raise SystemExit(main())
