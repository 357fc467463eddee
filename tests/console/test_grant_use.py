"""A grant's length on a unit without a clock: power cuts do not lengthen it, a clean end costs nothing."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from custody_twins import SteppedTime
from hypothesis import given
from hypothesis import strategies as st

from firmware.console.grant_use import AHEAD_S, KEPT, GrantUse, grant_use, logged_s
from firmware.console.maintenance import GRANT_LIMIT, NOBODY, OUTPUT_LIMIT, KeptOutput, SessionLog
from hw.secure_slot import LoopbackSlot
from storage.ledger import Ledger
from storage.times import MINUTE_US

NAME = "ab" * 16


@given(visits=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=12))
def test_what_is_counted_is_never_less_than_what_was_used(
    tmp_path_factory: pytest.TempPathFactory, visits: list[tuple[int, bool]]
) -> None:
    """Each session has this many steps of 5 s, and ends cleanly or by a power cut."""
    path = tmp_path_factory.mktemp("use") / "grants"
    used_s, cuts = 0.0, 0
    for steps, orderly in visits:
        use = GrantUse(path)
        use.charge(NAME, 0.0)
        for _ in range(steps):
            use.charge(NAME, 5.0)
        used_s += 5.0 * steps
        cuts += not orderly
        if orderly:
            use.charge(NAME, 0.0, at_end=True)
    counted_s = GrantUse(path).used_s(NAME)
    assert used_s <= counted_s <= used_s + cuts * AHEAD_S


def test_a_visit_of_less_than_a_minute_is_on_the_card_before_anything_is_typed(tmp_path: Path) -> None:
    GrantUse(tmp_path / "grants").charge(NAME, 0.0)
    assert json.loads((tmp_path / "grants").read_text()) == {NAME: AHEAD_S}


def test_as_many_grants_are_kept_as_are_counted(tmp_path: Path) -> None:
    use = GrantUse(tmp_path / "grants")
    for number in range(KEPT + 3):
        use.charge(f"{number:032x}", 5.0, at_end=True)
    again = GrantUse(tmp_path / "grants")
    assert again.used_s(f"{0:032x}") == 0
    assert again.used_s(f"{KEPT + 2:032x}") == 5
    assert len(json.loads((tmp_path / "grants").read_text())) == KEPT


def test_a_grant_whose_file_is_gone_was_used_as_long_as_the_log_says(tmp_path: Path, office: Any) -> None:
    time, grant = SteppedTime(), office.grant()
    with Ledger.create(tmp_path / "home", LoopbackSlot(tmp_path / "chip"), time, boot=time.boot) as ledger:
        for who, minutes in ((grant, 20), (replace(grant, grant_id="ff" * 16), 60), (grant, 40)):
            session = SessionLog(ledger, lambda: time.now().us, who, KeptOutput())
            session.opened("repair")
            time.run(minutes * MINUTE_US)
            session.end(session.begin("status", live=False), "done")  # then the power is cut
        use = grant_use(tmp_path, ledger)
        assert use.used_s(grant.grant_id) == 60 * 60
        use.charge(grant.grant_id, 5.0, at_end=True)
        assert grant_use(tmp_path, ledger).used_s(grant.grant_id) == 60 * 60 + 5
        assert grant_use(tmp_path, ledger).used_s(NAME) == 0


def test_a_restart_begins_no_other_allowance_of_output_for_a_grant(tmp_path: Path, office: Any) -> None:
    time, grant = SteppedTime(), office.grant()
    with Ledger.create(tmp_path / "home", LoopbackSlot(tmp_path / "chip"), time, boot=time.boot) as ledger:
        session = SessionLog(ledger, lambda: time.now().us, grant, grant_use(tmp_path, ledger).kept_output)
        recording = session.begin("logs 999", live=False)
        recording.take(bytes(OUTPUT_LIMIT))
        session.end(recording, "done")
        again = grant_use(tmp_path, ledger).kept_output
        assert len(again.take(grant.grant_id, bytes(GRANT_LIMIT))) == GRANT_LIMIT - OUTPUT_LIMIT
        assert len(again.take(NOBODY, bytes(GRANT_LIMIT))) == GRANT_LIMIT


def test_a_login_does_not_end_at_a_damaged_page_of_the_log(tmp_path: Path, office: Any) -> None:
    time, grant = SteppedTime(), office.grant()
    with Ledger.create(tmp_path / "home", LoopbackSlot(tmp_path / "chip"), time, boot=time.boot) as ledger:
        session = SessionLog(ledger, lambda: time.now().us, grant, KeptOutput())
        for _ in range(3):
            session.end(session.begin("status", live=False), "done")
            time.run(MINUTE_US)
        first = ledger.store.sequences(ledger.store.book.next_epoch() - 1)[0]
        ledger.store.db.conn.execute("UPDATE leaves SET leaf = x'00' WHERE sequence = ?", (first,))
        assert logged_s(ledger, grant.grant_id) == 2 * 60
        ledger.store.db.conn.execute("ALTER TABLE leaves RENAME TO leaves_lost")
        assert logged_s(ledger, grant.grant_id) == 0
        ledger.store.db.conn.execute("ALTER TABLE leaves_lost RENAME TO leaves")


def test_two_consoles_that_count_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    asked, other = threading.Event(), threading.Event()

    def logged(_grant: str) -> float:
        asked.set()
        other.wait(0.2)
        return 60.0

    use = GrantUse(tmp_path / "grants", logged)
    threads = [threading.Thread(target=use.charge, args=(NAME, 5.0)) for _ in range(2)]
    threads[0].start()
    assert asked.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert use.used_s(NAME) == 70.0
