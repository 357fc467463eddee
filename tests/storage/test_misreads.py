"""The misread rate of a unit, from people's decisions and from the confidences of its newest reads."""

from __future__ import annotations

import pytest
from custody_twins import OVERVIEW, PATCH, SteppedTime, make_read

from storage import misreads
from storage.audit_records import Decision, Verdict
from storage.ledger import Ledger
from storage.misreads import Misreads
from storage.read_records import Alert


def add(ledger: Ledger, time: SteppedTime, confidence: float, *, hit: bool = False) -> int:
    read = make_read(time.now().us, confidence=confidence)
    return ledger.append_read(read, patch=PATCH, overview=OVERVIEW, hit=hit).sequence


def decide(ledger: Ledger, alert: int, verdict: Verdict, *, viewed: bool = True) -> None:
    ledger.append(
        Decision(alert=alert, user="a", role="dispatcher", image_viewed=viewed, verdict=verdict, at_us=1)
    )


def test_the_last_word_on_each_alert_counts_where_its_image_was_looked_at(
    ledger: Ledger, time: SteppedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert misreads.of(ledger.store) == Misreads(checked=0, misread=0, reads=0, expected=0.0)
    for confidence in (0.1, 0.5):
        add(ledger, time, confidence)
    hit = add(ledger, time, 0.75, hit=True)
    ledger.append(
        Alert(read=hit, list_id="L", list_version=1, source="DOJ", entry=b"x", category="stolen-vehicle",
              score=0.9, twin=False, disagrees=(), silent=(), stale=False, at_us=1)
    )  # fmt: skip
    for alert, verdict in ((1, Verdict.MISREAD), (2, Verdict.MISREAD), (3, Verdict.DISMISSED)):
        decide(ledger, alert, verdict)
    decide(ledger, 2, Verdict.CONFIRMED)
    decide(ledger, 4, Verdict.MISREAD, viewed=False)
    found = misreads.of(ledger.store)
    assert (found.checked, found.misread, found.reads) == (2, 1, 3)
    assert found.expected == pytest.approx((0.9 + 0.5 + 0.25) / 3)
    monkeypatch.setattr(misreads, "NEWEST", 2)
    found = misreads.of(ledger.store)
    assert found.reads == 2
    assert found.expected == pytest.approx((0.5 + 0.25) / 2)
    epoch = ledger.store.leaf(hit).epoch
    del ledger.store.live[epoch]
    assert misreads.of(ledger.store).expected == pytest.approx((0.9 + 0.5) / 2)


def test_what_is_not_known_is_reported() -> None:
    assert Misreads(checked=0, misread=0, reads=0, expected=0.0).facts() == {
        "misread rate of this unit": (
            "not known from people: no alert of this unit was checked against its image yet"
        ),
        "misreads to be expected": "not known: no read can be opened here",
    }
    assert Misreads(checked=4, misread=1, reads=1, expected=0.071).facts() == {
        "misread rate of this unit": (
            "1 of 4 alerts (25.0%) that a person checked against the image were misread"
        ),
        "misreads to be expected": "7.1% of its newest 1 read, by their own confidences",
    }
