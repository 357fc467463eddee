"""Hours of replay with injected trouble, and an account of it: `make soak SOAK_MINUTES=120`.

The clip is played round after round at its own pace, and an enrolled unit sends what it reads to a real
department server over TLS. At set times the camera falls silent and hangs; beside that the disk is full for
a while, the clock steps, or the line to the department is lost. Wrong, and exit status 1: a stall over 10 s,
one that is not in the log, an announced read that is not in the log, one that did not reach the department, a
read lost while the disk had room, no read for long with vehicles in view, a store that does not verify at
either end, memory that grows. Control-C ends it early, with the account of what was.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from sync.errors import DONE, FOUND_WRONG
from tests.tools.bench import CLIP
from tests.tools.soak.soak import Soak


def main(argv: list[str] | None = None) -> int:
    """Soak and print the account."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--stalls", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fps", type=float, default=10.0, help="pace of the clip, in frames a second")
    parser.add_argument("--source", type=Path, default=CLIP, help="folder of pictures (default: the clip)")
    parser.add_argument("--folder", type=Path, help="new, for both homes (default: one that goes at the end)")
    args = parser.parse_args(argv)
    scratch: AbstractContextManager[str] = (
        tempfile.TemporaryDirectory(prefix="alpr-soak-") if args.folder is None else nullcontext(args.folder)
    )
    with scratch as folder:
        soak = Soak(
            Path(folder), args.source, minutes=args.minutes, stalls=args.stalls, seed=args.seed, fps=args.fps
        )
        signal.signal(signal.SIGINT, lambda _number, _frame: soak.end())
        account = soak.run()
    print(json.dumps(asdict(account), indent=2))
    return FOUND_WRONG if account.wrong else DONE


if __name__ == "__main__":
    sys.exit(main())
