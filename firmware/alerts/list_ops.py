"""A home's hot lists, for commands: names, counts and states, never a plate.

A command that holds the home calls the same operations as the socket of a running reader.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware.alerts.lasting_time import LastingTime, ListTime
from firmware.alerts.list_age import has_ended, health_of, is_in_doubt, is_stale
from firmware.alerts.opened_lists import open_lists
from firmware.custody.opening import Operation
from firmware.health.list_health import ListHealth
from storage import files
from storage.errors import RecordError, StorageError
from storage.ledger import Ledger
from storage.times import HOUR_US, utc_text
from sync.hot_lists.document import LOCAL, LONGEST_HOURS, ListHead, digest_of, total_digest
from sync.hot_lists.held import HeldLists
from sync.hot_lists.importing import import_list
from sync.hot_lists.layout import find_layout
from sync.membership import SyncFolder

if TYPE_CHECKING:  # a command without a running reader does not load the matching code
    from firmware.alerts.running import Alerts


def list_operations(home: Path, ledger: Ledger, alerts: Alerts | None = None) -> Mapping[str, Operation]:
    """The operations `hotlists` and `hotlist-import`.

    alerts: those of a running reader; None opens the lists for each question. Both first apply what a sync
    delivered, so that they show the current lists.
    """

    def lists(_body: dict[str, Any]) -> dict[str, Any]:
        with _lists_of(home, ledger, alerts) as used:
            used.refresh() if alerts is None else alerts.watch.refresh()
            time = _time_of(ledger, alerts)
            rows = [_head_row(one.head, ledger, time) for one in used.lists]
            return {"lists": rows, "missing": list(used.missing)}

    def take(body: dict[str, Any]) -> dict[str, Any]:
        with _lists_of(home, ledger, alerts) as used:
            return _import(ledger, used, body)

    return {"hotlists": lists, "hotlist-import": take}


@contextlib.contextmanager
def _lists_of(home: Path, ledger: Ledger, alerts: Alerts | None) -> Iterator[HeldLists]:
    """The lists of a running reader, or the home's lists, which are closed at the end."""
    if alerts is not None:
        yield alerts.held
        return
    with contextlib.closing(open_lists(home, ledger, SyncFolder.of(home))) as used:
        yield used


def _time_of(ledger: Ledger, alerts: Alerts | None) -> ListTime:
    return LastingTime.of(ledger.store.time).of_lists() if alerts is None else alerts.of_lists()


def list_health(home: Path, ledger: Ledger) -> ListHealth:
    """The health report's figures about lists, on a unit that is not reading.

    Never raises: lists that cannot be opened do not match, but must not stop a sync.
    """
    try:
        with _lists_of(home, ledger, None) as used:
            used.refresh()
            heads = [one.head for one in used.lists]
            found = health_of(heads, _time_of(ledger, None), ledger.store.policy.alerts)
            return replace(found, missing=len(used.missing))
    except (OSError, StorageError):
        return ListHealth(missing=1)


def lists_health(answer: Mapping[str, Any]) -> ListHealth:
    """The same figures from the door's answer to `hotlists`."""
    rows = answer["lists"]
    live = [one for one in rows if not one["expired"]]
    return ListHealth(
        lists=len(live),
        expired=len(rows) - len(live),
        stale=sum(one["stale"] for one in live),
        missing=len(answer["missing"]),
        in_doubt=sum(one["in_doubt"] for one in live),
    )


def off_lines(answer: Mapping[str, Any]) -> list[str]:
    """A line for each list whose alerts are off or marked stale, with the reason and the cure."""
    found = [
        f"OFF for {one}: the list is gone or unreadable here; reader sync now" for one in answer["missing"]
    ]
    for one in answer["lists"]:
        ended = f" on {utc_text(one['expires_us'])}" if "expires_us" in one else ""
        if one["expired"]:
            found.append(f"OFF for {one['id']}: the list expired{ended}; sync, or ask for a new version")
        elif one["in_doubt"]:
            found.append(
                f"marked STALE for {one['id']}: the clock is not set, so the list's age is unknown; sync, "
                "then set the clock"
            )
        elif one["stale"]:
            found.append(f"marked STALE for {one['id']}: its extract is old; ask for a new version")
    return found


def _head_row(head: ListHead, ledger: Ledger, time: ListTime) -> dict[str, Any]:
    """A list without its plates. Of the department's own list it shows no figures but whether it matches: its
    version, count and times would reveal a new covert entry.
    """
    terms = ledger.store.policy.alerts
    how = {
        "expired": has_ended(head, time),
        "stale": is_stale(head, time, terms),
        "in_doubt": is_in_doubt(head, time, terms),
    }
    if head.list_id == LOCAL:
        return {"id": LOCAL, "source": head.source, **how, "switched_on": True}
    return {
        "id": head.list_id,
        "version": head.sequence,
        "entries": head.count,
        "issuer": head.issuer,
        "source": head.source,
        "agency": head.agency,
        "extracted_us": head.extracted_us,
        "expires_us": head.expires_us,
        **how,
        "switched_on": not head.agency or head.agency in terms.agencies,
    }


def _import(ledger: Ledger, held: HeldLists, body: dict[str, Any]) -> dict[str, Any]:
    """Put a file into force on a unit that is not enrolled. Raises StorageError, OSError."""
    if ledger.status().enrolled:
        raise RecordError(
            "an enrolled unit takes its lists only from the department",
            cure="department hotlist push",
        )
    hours, list_id = int(body["hours"]), str(body["id"])
    if not 1 <= hours <= LONGEST_HOURS:
        raise RecordError(f"1 to {LONGEST_HOURS}", where="--hours")
    now_us = ledger.store.time.now().us
    category, terms = body.get("category"), ledger.store.policy.alerts
    if category and terms.category(str(category)) is None:
        allowed = ", ".join(one.id for one in terms.categories)
        raise RecordError(f"the signed policy allows {allowed}", where="--category")
    path = Path(str(body["file"]))
    with files.open_evidence(path, follow=True) as stream:
        made = import_list(
            stream,
            find_layout(str(body["layout"])),
            ledger.store.policy.alerts,
            name=path.name,
            category=str(category) if category else None,
            now_us=now_us,
        )
    data = sorted({one.to_bytes() for one in made.entries})
    before = next((one.head.sequence for one in held.lists if one.head.list_id == list_id), 0)
    head = ListHead(
        list_id=list_id,
        sequence=before + 1,
        organization=ledger.store.policy.organisation,
        issuer="this unit",
        source=list_id,
        agency="",
        extracted_us=now_us,
        expires_us=now_us + hours * HOUR_US,
        count=len(data),
        digest=total_digest(map(digest_of, data)),
        snapshot=before + 1,
        parts=0,
    )
    head.check()
    held.keep_own(head, data)
    return {"said": made.summary(), "entries": len(data), "version": head.sequence}
