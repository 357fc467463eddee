"""What the bench takes from the console's answer to `update`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from alpr_image.bench import trials
from alpr_image.workshop import BuildError

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


def test_another_reason_or_an_installed_update_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = "installed 2 (version 2); it is tried at the next\n  restart\n"
    for printed in (WRAPPED, installed):
        with pytest.raises(BuildError, match="not newer"):
            trial_of(printed, monkeypatch).refused("older.update", "not newer")
