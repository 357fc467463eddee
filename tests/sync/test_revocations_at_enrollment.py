"""A unit that joins or rejoins has the revoked grants before its first sync."""

from __future__ import annotations

from pathlib import Path

import pytest
from receiver_twins import Joined
from sync_twins import bare_home

from storage import envelope
from storage.grant_format import REVOCATIONS
from sync.department.server.server import Department
from sync.department.units import documents
from sync.documents import open_kept


@pytest.mark.parametrize("revoked", [["visit-7"], []])
def test_the_list_of_revoked_grants_comes_with_the_enrollment(tmp_path: Path, revoked: list[str]) -> None:
    home = bare_home(tmp_path / "department")
    department = Department(home)
    if revoked:
        documents.send(home, department.store, REVOCATIONS, envelope.encode(revoked), department.time())
    unit = Joined(tmp_path / "unit", department, "car-1")
    try:
        assert bool(unit.outbox.document_version(REVOCATIONS)) is bool(revoked)
        if revoked:
            taken = unit.ledger.store.book.files[REVOCATIONS]
            kept = open_kept(unit.folder.inbox, REVOCATIONS, unit.folder.member(), taken)
            assert envelope.decode(kept.body) == revoked
    finally:
        unit.close()
        department.close()
