"""`reader run`: the main job, frames in, signed reads out."""

from __future__ import annotations

import re
import sys

import click

from firmware.run import app
from firmware.run.failed_start import purging_anyway
from firmware.run.prepared_home import take_home
from firmware.run.run_result import RunOptions
from sync.command_frame import Common, verb
from sync.errors import DONE, FOUND_WRONG
from sync.event_log import event_log
from sync.lasting_stream import lasting


@verb("run", example="reader --home ./demo run --source ./frames --once")
@click.option(
    "--source",
    metavar="SOURCE",
    help="A folder of JPEG, PNG or WebP files, a video, `camera`, `camera:N`, rtsp://..., or drop:FOLDER, "
    "watched for new pictures, each removed once read. Default: from config.toml.",
)
@click.option("--once", is_flag=True, help="Stop at the end of the folder or video. Default: play it again.")
@click.option(
    "--pace",
    type=click.Choice(("source", "fast")),
    help="source: play at the source's own pace and drop frames that arrive too fast. fast: read every "
    "frame, at full speed. Default: fast with --once.",
)
@click.option(
    "--plates", is_flag=True, help="Show reads even without a terminal (refused on an enrolled unit)."
)
def run(common: Common, *, source: str | None, once: bool, pace: str | None, plates: bool) -> int:
    """Read plates from a camera, a folder of pictures or a video.

    Stores each vehicle's pass as one signed, sealed read. HOME must be a unit's: `reader init` makes one.
    Stops on SIGTERM or Ctrl-C with everything stored.
    Only a unit that is not enrolled shows reads, and only on a terminal: a service's output holds only
    counts. A closed pipe does not stop the reader. The exit status is 1 if a read was lost. With
    --once it is also 1 if a picture or a part of the video could not be read, or was left out because a new
    log replaced the old one.
    """
    if source is not None and re.match(r"rtsps?://.*:.*@", source):
        print(
            "reader: every user of this machine can read the password in the list of processes: "
            f"put the source into {common.home / 'config.toml'}, [camera] source, and leave --source out",
            file=sys.stderr,
        )
    options = RunOptions(
        source=source,
        once=once,
        at_source_pace=None if pace is None else pace == "source",
        plates=plates,
        as_json=common.json,
    )
    with purging_anyway(common.home, event_log(sys.stderr)):
        take_home(common.home)
        result = app.run(common.home, options, out=sys.stdout, err=sys.stderr)
    print(result.summary, file=lasting(sys.stderr if common.json else sys.stdout), flush=True)
    if result.unread:
        print(
            f"reader: the rest of the source was not read: this log gave way to a new one ({result.unread}); "
            "run it again to read the rest into the new log",
            file=lasting(sys.stderr),
            flush=True,
        )
    return FOUND_WRONG if result.lost or result.unread or (once and result.broken) else DONE
