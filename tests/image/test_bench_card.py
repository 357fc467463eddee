"""On the bench, the files of a unit's card belong to the account that opens them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from alpr_image.bench import card
from alpr_image.workshop import Workshop


class Shop:
    """Answers as the tools do: a partition, a clean file system, files owned by the unit's account."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def tool(self, program: str, *_words: object) -> str:
        if program == "debugfs":
            (self._out / "reader").mkdir()
            if os.geteuid() == 0:
                os.chown(self._out / "reader", 985, 985)
        held = {"name": "persistent", "start": 0, "size": 1}
        return json.dumps({"partitiontable": {"partitions": [held]}}) if program == "sfdisk" else "done"


def test_the_home_of_a_card_belongs_to_the_account_that_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decrypt(_key: bytes, _end: int, image: Path) -> None:
        image.write_bytes(b"")

    header: Any = SimpleNamespace(decrypt=decrypt)
    monkeypatch.setattr(card, "Header", SimpleNamespace(of=lambda _card, _start: header))
    out = tmp_path / "data"
    shop = cast("Workshop", Shop(out))
    home = card.data_folder(shop, tmp_path / "card", tmp_path / "chip", out, key=b"k") / "reader"
    assert home.stat().st_uid == os.geteuid()
