"""`reader query`: look content up. The access entry is in the log before anything is shown."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from firmware.custody.asking import FOR_EVER_US, add_person, asking, request_of, signed, time_us
from firmware.errors import DONE
from storage.codec import to_plain
from storage.cover import utc
from storage.door import subject_of
from storage.search import Query, normal_plate


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `query` to the command line."""
    parser = subparsers.add_parser(
        "query",
        help="look content up, after the access entry is in the log",
        description="Shows stored reads to a person of the roster who proves it, for a purpose of 463.2 and "
        "a case. Every request is logged before the answer, refused ones too. On an enrolled unit this is "
        "off unless the signed policy switches it on.",
        epilog="example: reader query --user demo-supervisor --role ccat-supervisor --purpose investigation "
        "--case 26-0815 --plate 7XKR219 --since 3d",
    )
    add_person(parser)
    parser.add_argument("--plate", help="plate text; ? stands for any character")
    parser.add_argument(
        "--since", type=time_us, default=0, metavar="T", help="ISO time (UTC) or age: 12h, 3d"
    )
    parser.add_argument("--until", type=time_us, default=FOR_EVER_US, metavar="T", help="as --since")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="at most N reads (default 200)")
    parser.add_argument("--images", type=Path, metavar="DIR", help="write patches and overviews there")


def run(args: argparse.Namespace) -> int:
    """Print the reads found; none is no error."""
    plate = normal_plate(args.plate) if args.plate else None
    query = Query(plate=plate, since_us=args.since, until_us=args.until)
    query.check()
    subject = subject_of(query, images=args.images is not None)
    with asking(args.home) as ask:
        body = signed(ask, args.home, request_of(args, "query", subject), args.credential)
        answer = ask(
            "query",
            body | {"query": to_plain(query), "limit": args.limit, "images": args.images is not None},
        )
    for read in answer["reads"]:
        images = read.pop("images", {})
        if args.images is not None:
            args.images.mkdir(parents=True, exist_ok=True)
            for name, data in images.items():
                (args.images / f"{read['sequence']}-{name}.jpg").write_bytes(data)
        print(json.dumps(_plain(read)) if args.json else _line(read))
    if not args.json:
        more = ", more were found: narrow the time" if answer["more"] else ""
        demo = " (demo home)" if answer["demo"] else ""
        print(f"{len(answer['reads'])} reads{more}; logged as record {answer['entry']}{demo}")
    return DONE


def _plain(read: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in read.items() if name != "slots"}
    shown["models"] = [[name, digest.hex()] for name, digest in read["models"]]
    return shown


def _line(read: dict[str, Any]) -> str:
    where = read["position"]
    at = f"  {where['latitude']:.5f},{where['longitude']:.5f}" if where else ""
    sure = "" if read["exact"] else "  (unreadable slots)"
    return (
        f"{read['sequence']:>8}  {utc(read['first_us'])}  {read['text']:<10} {read['confidence']:.2f}  "
        f"{read['jurisdiction'] or '-':<6} {read['direction']:<8} {read['camera']}{at}{sure}"
    )
