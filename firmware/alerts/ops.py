"""A home's hot lists and alerts, for commands. Names, counts and states; never a plate.

The same operations answer in a command that holds the home and behind the socket of a running reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from firmware.alerts.board import AlertBoard, OpenAlert, alerts_before
from firmware.alerts.recorded import RecordedAlert, recorded_alerts
from firmware.alerts.running import open_lists
from firmware.custody.opening import Operation
from storage import files
from storage.alert_terms import AlertTerms
from storage.errors import RecordError
from storage.ledger import Ledger
from storage.times import HOUR_US
from sync.hot_lists.document import LOCAL, LONGEST_HOURS, ListHead, digest_of, total_digest
from sync.hot_lists.held import HeldLists
from sync.hot_lists.importing import import_list
from sync.hot_lists.layout import find_layout
from sync.membership import SyncFolder


def list_operations(
    home: Path,
    ledger: Ledger,
    held: HeldLists | None = None,
    refresh: Callable[[], object] = lambda: None,
) -> Mapping[str, Operation]:
    """`hotlists` and `hotlist-import`. held: those of a running reader; None opens them for each question.

    refresh: takes up what a sync delivered, so that the lists shown are the current ones.
    """

    def lists(_body: dict[str, Any]) -> dict[str, Any]:
        used = held or open_lists(home, ledger, SyncFolder.of(home))
        try:
            used.refresh() if held is None else refresh()
            now_us = ledger.store.time.now().us
            rows = [_head_row(one.head, ledger, now_us) for one in used.lists]
            return {"lists": rows, "missing": list(used.missing)}
        finally:
            if held is None:
                used.close()

    def take(body: dict[str, Any]) -> dict[str, Any]:
        used = held or open_lists(home, ledger, SyncFolder.of(home))
        try:
            return _import(ledger, used, body)
        finally:
            if held is None:
                used.close()

    return {"hotlists": lists, "hotlist-import": take}


def alert_operations(ledger: Ledger, board: AlertBoard | None) -> Mapping[str, Operation]:
    """`alerts`: the open alerts of the running reader, and what is known of those of earlier runs.

    A unit that no department has enrolled lists these as well; else only the department opens them. The alert
    of a covert entry is for its people, on the page, and is not listed.
    """

    def alerts(_body: dict[str, Any]) -> dict[str, Any]:
        now_us, terms = ledger.store.time.now().us, ledger.store.policy.alerts
        began = None if board is None else board.began
        earlier = recorded_alerts(ledger, began)
        running = [] if board is None else board.open_alerts()
        return {
            "running": board is not None,
            "enrolled": ledger.status().enrolled,
            "alerts": [
                *(_open(one, terms, board) for one in running if board and not one.entry.covert),
                *(_earlier(one, terms, now_us) for one in earlier if not one.state.closed),
            ],
            "left_to_the_desk": 0 if board is None else board.left_to_the_desk,
            "before": alerts_before(ledger, began) - len(earlier),
        }

    return {"alerts": alerts}


def _open(one: OpenAlert, terms: AlertTerms, board: AlertBoard) -> dict[str, Any]:
    running_us = board.running_us
    return {
        "number": one.number,
        "category": one.says,
        "list": one.match.head.list_id,
        "sounded": one.match.sounds,
        "silent": list(one.match.silent),
        "stale": one.match.stale,
        "sightings": one.sightings,
        "earlier": False,
        "next": one.state.next_step(running_us, terms.clets_minutes),
        "overdue": one.state.overdue(running_us, terms.outcome_hours),
    }


def _earlier(one: RecordedAlert, terms: AlertTerms, now_us: int) -> dict[str, Any]:
    return {
        "number": one.number,
        "category": one.category,
        "list": one.list_id,
        "sounded": not one.silent,
        "silent": list(one.silent),
        "stale": one.stale,
        "sightings": 1,
        "earlier": True,
        "next": one.state.next_step(now_us, terms.clets_minutes),
        "overdue": one.state.overdue(now_us, terms.outcome_hours),
    }


def _head_row(head: ListHead, ledger: Ledger, now_us: int) -> dict[str, Any]:
    """A list, without its plates. Of the department's own whether it matches, and no figure: its versions,
    counts and times would show when a covert entry came."""
    terms = ledger.store.policy.alerts
    if head.list_id == LOCAL:
        return {
            "id": LOCAL, "source": head.source, "expired": now_us >= head.expires_us, "stale": False,
            "switched_on": True,
        }  # fmt: skip
    return {
        "id": head.list_id,
        "version": head.sequence,
        "entries": head.count,
        "issuer": head.issuer,
        "source": head.source,
        "agency": head.agency,
        "extracted_us": head.extracted_us,
        "expires_us": head.expires_us,
        "expired": now_us >= head.expires_us,
        "stale": now_us - head.extracted_us > terms.stale_hours * HOUR_US,
        "switched_on": not head.agency or head.agency in terms.agencies,
    }


def _import(ledger: Ledger, held: HeldLists, body: dict[str, Any]) -> dict[str, Any]:
    """Put a file into force on a unit that no department has enrolled. Raises StorageError, OSError."""
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
    same = len(made.entries) - len(data)
    said = made.summary() + (f"; {same} the same as another: {len(data)} in the list" if same else "")
    return {"said": said, "entries": len(data), "version": head.sequence}
