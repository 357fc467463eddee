"""How long a desk takes to open over a long access log: a command's start, the server's, the key service's.

python tests/tools/log_growth.py --entries 100000
python tests/tools/log_growth.py --entries 1000000

Makes a department, fills its log with signed look-ups of its own people (an access, its result, and now and
then a request, in the proportions of a day), writes the snapshot as the desk does, and opens it anew. Seconds
are of this machine at its load, which is printed with them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "twins"), str(HERE.parents[2])]

import structlog  # noqa: E402
from desk_root import access_of  # noqa: E402
from desk_twins import GROUND, Department, found_department, open_copy  # noqa: E402

from storage.times import DAY_US, SECOND_US  # noqa: E402
from sync.department.desk import snapshot  # noqa: E402
from sync.department.desk.inquiry.forms import NothingForm, RunForm  # noqa: E402
from sync.department.ground.person_key import read_token  # noqa: E402
from sync.department.journal.inquiry_entries import AccessEnded, InquiryAsked  # noqa: E402
from sync.department.journal.statements import sign_call  # noqa: E402

AT_ONCE = 5000
ENTRY_US = SECOND_US


def fill(department: Department, entries: int) -> None:
    """Signed look-ups of one person until the log has so many entries, without the desk's own checks."""
    desk, log = department.desk, department.desk.log
    token = department.logon("comm1")
    given = read_token(token)
    if given.key is None:
        raise SystemExit("the session has no key")
    query = department.plate("8XYZ123")
    form = RunForm(query=query, ground=GROUND)
    stamp = next(one for one in log.entries(log.size() - 1)).stamp
    note = access_of(query)
    at_us = max(log.newest_us(), department.clock.us)
    while log.size() < entries:
        with log.writing():
            for _ in range(min(AT_ONCE, entries - log.size()) // 2 + 1):
                at_us += ENTRY_US
                signed = sign_call(given.key, log.log_id, "comm1", "inquiry/run", form, at_us)
                made = log.append(note, replace(stamp, at_us=at_us, user="comm1"), signed)
                result = AccessEnded(access=made.sequence, count=3, reads=(), unwitnessed=False)
                log.append(result, replace(stamp, at_us=at_us, user="comm1"))
                if made.sequence % 40 == 0:
                    asked = InquiryAsked(query=query, ground=GROUND)
                    log.append(asked, replace(stamp, at_us=at_us, user="officer1"))
        print(f"{log.size():>9} entries", file=sys.stderr)
    department.clock.us = at_us + DAY_US // 24
    desk.book.signers.ever.clear()  # no session lasts as long: none of the requests is signed
    desk.refresh()
    snapshot.write(log, desk.book)


def timed(what: str, work: object, least: int = 1) -> None:
    """Print the seconds of one step."""
    started = time.monotonic()
    if callable(work):
        work()
    print(f"{what:<60} {time.monotonic() - started:8.2f} s", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--open-only", action="store_true", help="without the searches")
    arguments = parser.parse_args()
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory() as place:
        folder = found_department(Path(place))
        department = open_copy(folder)
        fill(department, arguments.entries)
        clock = department.clock.us
        department.close()
        print(f"load {os.getloadavg()[0]:.1f}")
        opened: list[Department] = []

        def reopen() -> None:
            again = open_copy(folder)
            again.clock.us = clock
            opened.append(again)

        timed(f"open the desk over {arguments.entries} entries (each command, serve)", reopen)
        again = opened[0]
        timed(
            "the first call after that: user list",
            lambda: again.call("training/list", again.logon("super"), NothingForm()),
        )
        if not arguments.open_only:
            token = again.logon("comm1")
            form = RunForm(query=again.plate("8XYZ123"), ground=GROUND)
            timed(
                "the first search: the key service follows the whole log, once",
                lambda: again.call("inquiry/run", token, form),
            )
            timed("the next search", lambda: again.call("inquiry/run", token, replace(form)))
        again.close()


if __name__ == "__main__":
    main()
