"""Logs the configuration at every start and at every change from the console."""

from __future__ import annotations

import hashlib
from pathlib import Path

from firmware.settings.config import FILE_NAME, config_bytes
from hw.clock import Clock
from storage.audit_records import Configuration
from storage.ledger import Ledger


def record_configuration(ledger: Ledger, home: Path, clock: Clock) -> None:
    """Append the home's file, byte for byte. Its version is 0, since a local file has none."""
    document = config_bytes(home)
    ledger.append(
        Configuration(
            name=FILE_NAME,
            version=0,
            digest=hashlib.sha256(document).digest(),
            document=document,
            at_us=clock.now().us,
        )
    )
