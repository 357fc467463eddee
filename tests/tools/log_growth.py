"""How long a desk with a long access log takes to open: for a command, the server and the key service.

python tests/tools/log_growth.py --entries 100000
python tests/tools/log_growth.py --entries 1000000

It makes a department, fills its log with signed lookups of its people (an access, its result, and now and
then a request, in a day's proportions), writes the snapshot as the desk does, and opens the department twice.
The first time the keys follow the whole log, as after an update; the second time they resume. The seconds are
those of this machine at the load that is printed with them.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

import structlog  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from desk_root import access_of  # noqa: E402
from desk_twins import GROUND, Department, found_department, open_copy  # noqa: E402

from storage.times import HOUR_US, SECOND_US  # noqa: E402
from sync.department.desk import snapshot  # noqa: E402
from sync.department.desk.inquiry.forms import AskForm, NothingForm, RunForm  # noqa: E402
from sync.department.ground.person_key import read_token  # noqa: E402
from sync.department.journal.entry_base import Stamp  # noqa: E402
from sync.department.journal.inquiry_entries import AccessEnded, InquiryAsked  # noqa: E402
from sync.department.journal.statements import sign_call  # noqa: E402
from sync.department.server import daily  # noqa: E402

AT_ONCE = 5000
T = TypeVar("T")


def seat(department: Department, user: str) -> tuple[Ed25519PrivateKey, Stamp]:
    """A new session: its key, and the stamp of its entries."""
    key = read_token(department.logon(user)).key
    if key is None:
        raise SystemExit("the session has no key")
    log = department.desk.log
    return key, log.entry(log.size() - 1).stamp


def fill(department: Department, entries: int) -> None:
    """Add one person's signed lookups, without the desk's checks, until the log has ``entries`` entries."""
    desk, log = department.desk, department.desk.log
    query = department.plate("8XYZ123")
    form, note = RunForm(query=query, ground=GROUND), access_of(query)
    at_us = ends_us = max(log.newest_us(), department.clock.us)
    while log.size() < entries:
        if at_us >= ends_us:  # people log in for a shift
            department.clock.us, ends_us = at_us, at_us + 8 * HOUR_US
            (key, stamp), (other, theirs) = seat(department, "comm1"), seat(department, "officer1")
            at_us = department.clock.us
        with log.writing():
            for _ in range(min(AT_ONCE, entries - log.size()) // 2 + 1):
                at_us += SECOND_US
                signed = sign_call(key, log.log_id, "comm1", "inquiry/run", form, at_us)
                made = log.append(note, replace(stamp, at_us=at_us), signed)
                result = AccessEnded(access=made.sequence, count=3, reads=(), unwitnessed=False)
                log.append(result, replace(stamp, at_us=at_us))
                if made.sequence % 40 < 2:
                    asks = AskForm(query=query, ground=GROUND)
                    signed = sign_call(other, log.log_id, "officer1", "inquiry/request", asks, at_us)
                    log.append(InquiryAsked(query=query, ground=GROUND), replace(theirs, at_us=at_us), signed)
        print(f"{log.size():>9} entries", file=sys.stderr)
    department.clock.us = at_us + HOUR_US
    desk.refresh()
    snapshot.write(log, desk.book)


def timed(what: str, work: Callable[[], T]) -> T:
    """Print the seconds that one step takes."""
    started = time.monotonic()
    answer = work()
    print(f"{what:<66} {time.monotonic() - started:8.2f} s", flush=True)
    return answer


def reopened(folder: Path) -> Department:
    """The department, opened again an hour after its newest entry."""
    again = open_copy(folder)
    again.clock.us = again.desk.log.newest_us() + HOUR_US
    return again


def search(department: Department) -> object:
    form = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    return department.call("inquiry/run", department.logon("comm1"), form)


def measure(folder: Path, what: str) -> None:
    """Time the opening, a first call, the keys' catching up, and two searches."""
    again = timed(what, partial(reopened, folder))
    first = partial(again.call, "training/list", again.logon("super"), NothingForm())
    timed("  the first call: training list", first)
    timed(
        "  the keys follow what they have not seen (daily, and at a start)",
        partial(daily.show_log, again.front),
    )
    timed("  the first search", partial(search, again))
    timed("  the next search", partial(search, again))
    again.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--home", type=Path, help="keep the department here; one that is here is used again")
    arguments = parser.parse_args()
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.home or Path(place) / "growth"
        if not folder.exists():
            folder.mkdir(parents=True)
            department = open_copy(found_department(folder))
            fill(department, arguments.entries)
            department.close()
        print(f"load {os.getloadavg()[0]:.1f}")
        measure(folder, f"open the desk over {arguments.entries} entries (each command, serve)")
        measure(folder, "the same after a restart of server and key service")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{'memory at its highest':<66} {peak:8} MB")


if __name__ == "__main__":
    main()
