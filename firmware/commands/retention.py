"""`reader retention plan` and `apply`: what is due for purging and why; purge it, print the receipt."""

from __future__ import annotations

import argparse
import json

from firmware.custody.asking import asking
from firmware.errors import DONE
from storage.cover import utc


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `retention` to the command line."""
    parser = subparsers.add_parser(
        "retention",
        help="what is due for purging and why; purge now (463.8)",
        description="`plan` lists every key epoch that holds content and when it is due; it changes nothing. "
        "`apply` purges what is due and prints the receipt. Neither shows content.",
        epilog="example: reader retention plan --json",
    )
    parser.add_argument("deed", choices=("plan", "apply"))


def run(args: argparse.Namespace) -> int:
    """Print the plan or the receipt."""
    with asking(args.home) as ask:
        answer = ask(args.deed, {})
    if args.deed == "plan":
        for item in answer["items"]:
            print(json.dumps(item) if args.json else _line(item))
        if not args.json:
            due = [item["records"] for item in answer["items"] if item["due"]]
            print(f"{len(due)} of {len(answer['items'])} epochs are due: {sum(due)} records")
        return DONE
    receipt = answer["receipt"]
    if args.json:
        waits_us = answer.get("waits_until_us")
        print(json.dumps({"receipt": receipt, "record": answer.get("sequence"), "waits_until_us": waits_us}))
    elif receipt is None and answer["waits_until_us"] is not None:
        print(
            f"due, but the slot is turned at most hourly: the unit purges at {utc(answer['waits_until_us'])}"
        )
    elif receipt is None:
        print("nothing is due")
    else:
        print(f"purged at {utc(receipt['at_us'])}; receipt is record {answer['sequence']}")
        for one in receipt["epochs"]:
            what = f"epoch {one['epoch']} ({one['key_class']}): {one['records']} records"
            print(f"  {what}, {one['clause']}: {one['reason']}")
        print(f"slot: {receipt['slot']}: {receipt['note']}")
    return DONE


def _line(item: dict[str, object]) -> str:
    due_us = int(str(item["due_us"]))
    when = "held" if due_us > 1 << 62 else f"due {utc(due_us)}"
    mark = "DUE " if item["due"] else "    "
    return (
        f"{mark}epoch {item['epoch']:>5} {item['key_class']:<6} {item['records']:>7} records "
        f"{item['received']:>7} received  {when}  {item['clause']}: {item['reason']}"
    )
