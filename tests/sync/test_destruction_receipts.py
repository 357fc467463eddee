"""The receipts of resets: what an incident says about one, and which of them a sync sends or keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync import messages
from sync.department.units import destructions
from sync.destruction import (
    FOLDER,
    MAX_RANGES,
    MOST_KEPT,
    Destroyed,
    DestroyedHeld,
    keep,
    ranges_of,
    send_kept,
)
from sync.errors import LinkError, RefusedByDepartmentError


@pytest.mark.parametrize(
    ("left", "ranges", "shown"),
    [
        ([], (), "never delivered: 0 reads; "),
        ([4], ((4, 4),), "never delivered: 1 read (records 4 to 4); "),
        ([*range(0, 40, 2)], None, "38 to 38); "),
        ([*range(0, 42, 2)], None, "38 to 38 and more); "),
    ],
)
def test_an_incident_shows_the_first_twenty_ranges(
    monkeypatch: pytest.MonkeyPatch,
    left: list[int],
    ranges: tuple[tuple[int, int], ...] | None,
    shown: str,
) -> None:
    said = Destroyed(
        log_id=bytes(32), unit_id="u", at_us=0, size=50, checkpoint="", grant_id="", undelivered=len(left),
        ranges=ranges_of(left), holds=(),
    )  # fmt: skip
    assert ranges in {None, said.ranges}
    monkeypatch.setattr(destructions, "_lacking", lambda *_: len(left))

    def words(held: int, **changes: Any) -> str:
        log = cast(Any, SimpleNamespace(frontier=SimpleNamespace(size=held)))
        return destructions._words(replace(said, **changes), cast(Any, None), log)

    assert shown in words(50)
    assert words(50).startswith("factory reset without a grant; ")
    assert words(50).endswith("50 of 50 records are here")
    assert words(49).endswith("49 of 50 records are here")
    assert words(51).endswith(
        "50 of 50 records are here; but 51 were received before: more than it says it had"
    )
    assert "; 2 holds went with it; " in words(50, holds=(1, 2))


class Answering:
    """A department that answers each receipt with `said` and records what came."""

    def __init__(self, **said: object) -> None:
        self.key, self.came, self.said = Ed25519PrivateKey.generate(), list[bytes](), said

    @property
    def public(self) -> Ed25519PublicKey:
        return self.key.public_key()

    def post(self, _name: str, pieces: Sequence[bytes]) -> bytes:
        (message,) = pieces
        self.came.append(message)
        facts: dict[str, Any] = {"log_id": bytes(32), "digest": hashlib.sha256(message).digest()}
        return messages.seal_message(DestroyedHeld(**(facts | self.said)), self.key)


def test_an_answer_about_another_receipt_keeps_this_one(tmp_path: Path) -> None:
    keep(tmp_path, bytes(32), b"receipt")
    link = Answering(digest=bytes(32))
    with pytest.raises(LinkError, match="another receipt"):
        send_kept(tmp_path, cast(Any, link), link.public)
    assert [one.read_bytes() for one in (tmp_path / FOLDER).iterdir()] == [b"receipt"]


def test_the_receipts_of_one_sync_are_bounded_and_end_when_they_must(tmp_path: Path) -> None:
    names = [bytes([at]) * 32 for at in range(MOST_KEPT + 2)]
    for one in names:
        keep(tmp_path, one, b"receipt " + one[:1])
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700
    link = Answering()
    turns = iter([True, True, False])
    assert send_kept(tmp_path, cast(Any, link), link.public, lambda: next(turns)) == 2
    assert send_kept(tmp_path, cast(Any, link), link.public) == MOST_KEPT
    assert link.came == [b"receipt " + one[:1] for one in names]
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert send_kept(tmp_path / "never", cast(Any, link), link.public) == 0


def test_a_receipt_that_is_refused_or_unreadable_stays_and_holds_no_other_up(tmp_path: Path) -> None:
    for at in range(3):
        keep(tmp_path, bytes([at]) * 32, bytes([at]))
    (tmp_path / FOLDER / "01.cbor").mkdir()  # like a receipt that cannot be read
    link = Answering()
    post = link.post

    def refuse_first(_name: str, pieces: Sequence[bytes]) -> bytes:
        if pieces[0] == b"\0":
            raise RefusedByDepartmentError("no", code="malformed")
        return post(_name, pieces)

    link.post = refuse_first  # type: ignore[method-assign]
    assert send_kept(tmp_path, cast(Any, link), link.public) == 2
    assert sorted(one.name for one in (tmp_path / FOLDER).iterdir()) == [f"{'00' * 8}.cbor", "01.cbor"]


def test_ranges_keep_the_first_two_hundred_and_all_that_belongs_to_them() -> None:
    numbers = [*range(0, 2 * MAX_RANGES, 2)]
    assert ranges_of([*numbers, numbers[-1] + 1, 999]) == (
        *((one, one) for one in numbers[:-1]),
        (numbers[-1], numbers[-1] + 1),
    )
