"""`reader run`: the main job, frames in, signed reads out."""

from __future__ import annotations

import argparse
import sys

from firmware.commands import Subparsers
from firmware.errors import DONE, FOUND_WRONG
from firmware.lasting_stream import lasting
from firmware.run import app
from firmware.run.one_run import RunOptions


def add_parser(subparsers: Subparsers) -> None:
    """Add `run` to the command line."""
    parser = subparsers.add_parser(
        "run",
        help="the main job: frames in, signed reads out",
        description="Reads plates from a camera, a folder of pictures or a video, and stores each vehicle's "
        "pass as one signed, sealed read. Stops on SIGTERM or Ctrl-C with everything stored. Plates are "
        "shown on a terminal of a unit that is not enrolled, and nowhere else. Whoever took the output "
        "may go away; reading goes on.",
        epilog="example: reader --home ./demo run --source ./frames --once",
    )
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="a folder of JPEG/PNG files, a video, `camera` or `camera:N` (default: as config.toml says)",
    )
    parser.add_argument(
        "--once", action="store_true", help="stop at the end of the folder or video (default: play it again)"
    )
    parser.add_argument(
        "--pace",
        choices=("source", "fast"),
        help="play at the source's own pace, dropping frames that come too fast, or as fast as they are "
        "read, dropping none (default: fast with --once)",
    )
    parser.add_argument(
        "--plates", action="store_true", help="show plates off a terminal too (refused on an enrolled unit)"
    )


def run(args: argparse.Namespace) -> int:
    """Run until the source ends or a signal comes; 1 when a read was lost."""
    options = RunOptions(
        source=args.source,
        once=args.once,
        at_source_pace=None if args.pace is None else args.pace == "source",
        plates=args.plates,
        as_json=args.json,
    )
    result = app.run(args.home, options, out=sys.stdout, err=sys.stderr)
    print(result.summary, file=lasting(sys.stderr if args.json else sys.stdout), flush=True)
    return FOUND_WRONG if result.lost else DONE
