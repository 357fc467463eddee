"""A home's alerts, for commands: numbers, categories and states, never a plate.

A command that holds the home calls the same operation as the socket of a running reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware.alerts.board import AlertBoard, OpenAlert
from firmware.alerts.recorded import RecordedAlert, recorded_alerts
from firmware.custody.opening import Operation
from storage.alert_terms import AlertTerms
from storage.ledger import Ledger


def alert_operations(ledger: Ledger, board: AlertBoard | None) -> Mapping[str, Operation]:
    """The operation `alerts`: the open alerts of the running reader, and of earlier runs if the unit is not
    enrolled.

    On an enrolled unit only the department opens the alerts of earlier runs, and they are not counted here.
    The alert of a covert entry is only for its recipients, on the page, and is neither listed nor counted.
    """

    def alerts(_body: dict[str, Any]) -> dict[str, Any]:
        now_us, terms = ledger.store.time.now().us, ledger.store.policy.alerts
        began = None if board is None else board.began
        earlier = recorded_alerts(ledger, began)
        missed = None if board is None else board.unstored.so_far()
        running = [] if board is None else board.open_alerts()
        return {
            "running": board is not None,
            "enrolled": ledger.status().enrolled,
            "alerts": [
                *(_open(one, terms, board) for one in running if board and not one.entry.covert),
                *(_earlier(one, terms, now_us) for one in earlier if not one.state.closed),
            ],
            "unstored": 0 if missed is None else missed.count,
            "left_to_the_desk": 0 if board is None else board.left_to_the_desk,
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
