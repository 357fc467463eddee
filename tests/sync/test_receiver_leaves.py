"""The receiver and leaves that are out of place, changed, or signed over another tree."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flipped import flip
from receiver_twins import Joined, incident_kinds, signed_leaves, size_held

from storage.checkpoint import Checkpoint, sign_checkpoint
from storage.leaf import origin_of
from sync import messages
from sync.department.server.server import Department
from sync.errors import RefusedByDepartmentError


def test_leaves_that_leave_a_gap_are_refused_with_the_size_held(department: Department, unit: Joined) -> None:
    unit.add(4)
    data = unit.outbox.leaves(2, 2)
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("leaves", signed_leaves(unit, 2, data))
    assert (refused.value.code, refused.value.held) == ("gap", 0)
    assert incident_kinds(department) == []


def swapped(real: list[bytes]) -> list[bytes]:
    return [real[0], real[2], real[1], *real[3:]]


def doubled(real: list[bytes]) -> list[bytes]:
    return [real[0], real[0], *real[1:]]


def flipped(real: list[bytes]) -> list[bytes]:
    return [*real[:-1], flip(real[-1])]


def left_out(real: list[bytes]) -> list[bytes]:
    return [*real[:1], *real[2:]]


def no_leaf(real: list[bytes]) -> list[bytes]:
    return [*real[:-1], b"\xd2\x84"]


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(swapped, id="two leaves swapped"),
        pytest.param(doubled, id="a leaf doubled"),
        pytest.param(flipped, id="a bit flipped"),
        pytest.param(left_out, id="a leaf left out"),
        pytest.param(no_leaf, id="no leaf at all"),
    ],
)
def test_bad_leaves_are_an_incident_and_nothing_of_the_batch_is_taken(
    department: Department, unit: Joined, attack: Callable[[list[bytes]], list[bytes]]
) -> None:
    unit.add(3)
    real = unit.outbox.leaves(0, unit.outbox.size())
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("leaves", signed_leaves(unit, 0, attack(real)))
    assert refused.value.code == "bad-leaf"
    assert size_held(department, unit) == 0
    assert incident_kinds(department) == ["bad-leaf"]


def test_leaves_that_do_not_make_the_signed_root_are_a_fork(department: Department, unit: Joined) -> None:
    unit.add(3)
    real = unit.outbox.leaves(0, unit.outbox.size())
    data = signed_leaves(unit, 0, real)
    key = Ed25519PrivateKey.from_private_bytes(unit.ledger.store.ring.log_key)
    head = Checkpoint(origin_of(unit.outbox.log_id), len(real), os.urandom(32))
    batch = messages.open_message(messages.LeafBatch, data, unit.ledger.public_key.public)
    forged = messages.LeafBatch(
        log_id=batch.log_id,
        first=0,
        leaves=batch.leaves,
        checkpoint=sign_checkpoint(head, key),
        proof=(),
    )
    with pytest.raises(RefusedByDepartmentError) as refused:
        department.receiver.answer("leaves", messages.seal_message(forged, unit.outbox.sign))
    assert refused.value.code == "fork"
