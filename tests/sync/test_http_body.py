"""Bodies of requests: how much memory a client can occupy by pausing or sending slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from desk_server import serving

from sync import messages
from sync.department.ground.http_body import Budget, read_body
from sync.department.units.http_app import front_app
from sync.errors import RefusedByDepartmentError


class Sent:
    """The parts of a request that the reader of its body uses."""

    def __init__(self, pieces: Iterable[bytes], *, drips: bool = False) -> None:
        self.headers: dict[str, str] = {}
        self._pieces, self._drips = pieces, drips

    async def stream(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        while self._drips:
            await asyncio.sleep(0.01)
            yield b"x"


def read(sent: Any, *, limit: int = 1 << 20, seconds: float = 0.2, budget: Budget | None = None) -> bytes:
    async def run() -> bytes:
        with (budget or Budget()).taking() as add:
            async with asyncio.timeout(300):  # if bytes extended it, a client could pause for hours
                return await read_body(sent, limit, seconds, add)

    return asyncio.run(run())


def test_a_body_that_comes_is_read_whole() -> None:
    assert read(Sent([b"ab", b"", b"c"]), seconds=60) == b"abc"


@pytest.mark.parametrize("first", [0, 1_000_000])
def test_who_sends_much_at_once_cannot_rest_on_it(first: int) -> None:
    with pytest.raises(RefusedByDepartmentError, match="arrived too slowly") as refused:
        read(Sent([bytes(first)] if first else [], drips=True))
    assert refused.value.code == "too-slow"


def test_a_body_over_its_limit_or_over_the_memory_of_all_is_refused() -> None:
    assert read(Sent([bytes(10)]), limit=10, seconds=60) == bytes(10)
    for sent, limit, budget, code in (
        (Sent([bytes(11)]), 10, Budget(), "too-large"),
        (Sent([bytes(6), bytes(6)]), 20, Budget(11), "busy"),
    ):
        with pytest.raises(RefusedByDepartmentError) as refused:
            read(sent, limit=limit, seconds=60, budget=budget)
        assert refused.value.code == code


@pytest.mark.parametrize("name", ["unit", "parcel", "closed", "piece"])
def test_the_door_without_a_certificate_takes_small_bodies_alone(name: str) -> None:
    """Parcels of units have up to 16 MB. At this door, a single one would fill the memory for all."""
    answered: list[int] = []

    def answer(_name: str, body: bytes) -> bytes:
        answered.append(len(body))
        return b"yes"

    department: Any = SimpleNamespace(answer=answer, refusal=lambda error: error.code.encode())
    with serving(front_app(department, department, [])) as client:
        most = messages.MAX_SMALL_BYTES
        assert client.post(f"/enrol/{name}", content=bytes(most)).content == b"yes"
        refused = client.post(f"/enrol/{name}", content=bytes(most + 1))
    assert (refused.status_code, refused.content, answered) == (413, b"too-large", [most])
