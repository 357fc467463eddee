"""What the bench reads from the console's answer to `update`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from alpr_device import events
from alpr_image.bench import trials
from alpr_image.workshop import BuildError

from firmware.custody.opening import create_ledger
from firmware.custody.system_updates import record_system_updates

WRAPPED = """checking /media/alpr-stick/foreign.update
alpr-install-update: refused: rauc: LastError: Installation error: signature
  verification failed: Verify error: self-signed certificate
"""


def trial_of(printed: str, monkeypatch: pytest.MonkeyPatch) -> trials._Trial:
    monkeypatch.setattr(trials, "shown", lambda *_, **__: printed)
    nobody = cast("Any", SimpleNamespace(said=str))
    return trials._Trial(nobody, nobody, nobody, nobody)


def test_reason_that_the_terminal_wrapped_is_recognized_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = trial_of(WRAPPED, monkeypatch).refused("foreign.update", "signature verification failed")
    assert seen.startswith("refused: rauc: LastError: Installation error: signature verification failed")


def test_another_reason_or_an_installed_update_is_not_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = "installed 2 (version 2); it is tried at the next\n  restart\n"
    for printed in (WRAPPED, installed):
        with pytest.raises(BuildError, match="not newer"):
            trial_of(printed, monkeypatch).refused("older.update", "not newer")


def test_day_whose_log_lacks_an_outcome_fails(tmp_path: Path) -> None:
    path, home = tmp_path / "events.jsonl", tmp_path / "home"
    home.mkdir(mode=0o700)
    for outcome in trials.OUTCOMES:
        events.note(f"{outcome} and why", from_version="1", to_version="2", digest="", path=path)
    with create_ledger(home) as ledger:
        record_system_updates(ledger, home, path)
    found = trials.update_outcomes(home)
    assert trials.all_recorded(found).startswith("11 records of updates")
    for at in range(len(found)):
        with pytest.raises(BuildError, match="is not in the log"):
            trials.all_recorded(found[:at] + found[at + 1 :])
