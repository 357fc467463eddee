"""Whether a hot list has ended, is stale, or is in doubt, by the policy and a time that may be uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from firmware.alerts.lasting_time import ListTime
from firmware.health.list_health import ListHealth
from storage.alert_terms import AlertTerms
from storage.times import HOUR_US
from sync.hot_lists.document import LOCAL, ListHead


def has_ended(head: ListHead, time: ListTime) -> bool:
    """Whether a list no longer matches."""
    return time.sure_us >= head.expires_us


def is_stale(head: ListHead, time: ListTime, terms: AlertTerms) -> bool:
    """Whether its alerts are marked stale: its extract is old or of unknown age."""
    old = time.likely_us - head.extracted_us > terms.stale_hours * HOUR_US
    # the department's own list has no extract date: it is sent whenever it changes
    return time.vague or (old and head.list_id != LOCAL)


def is_in_doubt(head: ListHead, time: ListTime, terms: AlertTerms) -> bool:
    """Whether its alerts are marked stale only because the clock is not trusted."""
    if has_ended(head, time):
        return False
    surely = replace(time, likely_us=time.sure_us, vague=False)
    old = is_stale(head, time, terms) and not is_stale(head, surely, terms)
    return old or time.likely_us >= head.expires_us


def health_of(heads: Sequence[ListHead], time: ListTime, terms: AlertTerms) -> ListHealth:
    """The health report's figures about the lists on this unit."""
    live = [one for one in heads if not has_ended(one, time)]
    return ListHealth(
        lists=len(live),
        expired=len(heads) - len(live),
        stale=sum(is_stale(one, time, terms) for one in live),
        in_doubt=sum(is_in_doubt(one, time, terms) for one in live),
    )
