"""A witness that refused is not asked for a minute; its refusal counts for that minute and no longer."""

from __future__ import annotations

from pathlib import Path

import pytest
from log_twins import Log

from storage.errors import ForkedLogError
from sync.department.journal.publisher import AWAY_S
from sync.errors import LinkError


def refused(log: Log) -> None:
    with pytest.raises(ForkedLogError):
        log.cover(log.add())


@pytest.mark.parametrize(("witnesses", "quorum"), [(1, 1), (3, 3), (2, 1)])
def test_a_witness_that_refused_once_signs_again_after_a_minute_however_often_it_was_needed(
    tmp_path: Path, witnesses: int, quorum: int
) -> None:
    log = Log(tmp_path, witnesses=witnesses, quorum=quorum)
    link = log.links[-1]
    for one in log.links[:-1]:  # one of two is enough, so the other must not answer first
        one.away = quorum < witnesses
    link.forked = True
    refused(log)
    began, asked = log.now, link.asked
    link.forked = False
    for second in range(10, int(AWAY_S), 10):
        log.now = began + second - 10.0
        refused(log)
    assert link.asked == asked
    log.now = began + AWAY_S + 10.0
    entry = log.add()
    assert log.cover(entry) == entry + 1
    log.close()


def test_the_pause_after_a_time_out_repeats_no_earlier_claim(tmp_path: Path) -> None:
    """A witness's absence permits marked answers for some minutes; a claim permits none."""
    log = Log(tmp_path)
    link = log.links[0]
    link.forked = True
    refused(log)
    link.forked, log.now = False, log.now + AWAY_S
    log.cover(log.add())
    link.away = True
    for _ in range(2):  # the timeout, then the pause
        with pytest.raises(LinkError):
            log.cover(log.add())
    log.close()
