"""`reader retention plan` and `apply`: what is due for purging and why; purge it, print the receipt."""

from __future__ import annotations

import json

from firmware.custody.asking import asking
from storage.counts import counted
from storage.times import utc_text
from sync.command_frame import Common, noun
from sync.errors import DONE

retention = noun(
    "retention",
    "What is due for purging and why; purge now (463.8). Neither verb shows content.",
    example="reader retention plan --json",
)


@retention.verb("plan", example="reader retention plan")
def plan(common: Common) -> int:
    """List every key epoch that holds content and when it is due. Changes nothing."""
    with asking(common.home) as ask:
        items = ask("plan", {})["items"]
    for item in items:
        print(json.dumps(item) if common.json else _line(item))
    if not common.json:
        due = [item["records"] for item in items if item["due"]]
        print(f"due: {len(due)} of {counted(len(items), 'epoch')}, {counted(sum(due), 'record')}")
    return DONE


@retention.verb("apply", example="reader retention apply")
def apply(common: Common) -> int:
    """Purge what is due, and print the receipt."""
    with asking(common.home) as ask:
        answer = ask("apply", {})
    receipt = answer["receipt"]
    if common.json:
        waits_us = answer.get("waits_until_us")
        print(json.dumps({"receipt": receipt, "record": answer.get("sequence"), "waits_until_us": waits_us}))
    elif receipt is None and answer["waits_until_us"] is not None:
        print(
            "due, but the key slot changes at most once an hour: the unit purges at "
            f"{utc_text(answer['waits_until_us'])}"
        )
    elif receipt is None:
        print("nothing is due")
    else:
        print(f"purged at {utc_text(receipt['at_us'])}; receipt is record {answer['sequence']}")
        for one in receipt["epochs"]:
            what = f"epoch {one['epoch']} ({one['key_class']}): {counted(one['records'], 'record')}"
            print(f"  {what}, {one['clause']}: {one['reason']}")
        print(f"slot: {receipt['slot']}: {receipt['note']}")
    return DONE


def _line(item: dict[str, object]) -> str:
    due_us = int(str(item["due_us"]))
    when = "held" if due_us > 1 << 62 else f"due {utc_text(due_us)}"
    mark = "DUE " if item["due"] else "    "
    records = counted(int(str(item["records"])), "record")
    return (
        f"{mark}epoch {item['epoch']:>5} {item['key_class']:<6} {records:>15} "
        f"{item['received']:>7} received  {when}  {item['clause']}: {item['reason']}"
    )
