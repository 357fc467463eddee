"""Answers sent part by part, until the parts end, the connection is cut, or the reader takes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Protocol

import anyio
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sync.department.ground.problem import NO_STORE
from sync.department.journal.marking import WORDS

SEND_S = 20.0  # a reader that takes nothing for this long is dropped
HEADERS = {**NO_STORE, "x-accel-buffering": "no"}


class AnswerParts(Protocol):
    """The parts that are sent. They are closed when no more is sent."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def aclose(self) -> Awaitable[object]: ...


class LastingAnswer(StreamingResponse):
    """One such answer. `unwitnessed`: whether it began while the witness was away."""

    def __init__(self, parts: AnswerParts, *, unwitnessed: bool, send_s: float = SEND_S) -> None:
        super().__init__(parts, headers=HEADERS | ({"X-Not-Witnessed": WORDS} if unwitnessed else {}))
        self._parts, self._send_s = parts, send_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        async with anyio.create_task_group() as group:
            group.start_soon(self._until_gone, receive, group.cancel_scope)
            try:
                await self._send_all(send)
            finally:
                group.cancel_scope.cancel()

    def gone(self) -> None:
        """Note that the connection was cut."""

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._parts) as parts:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for part in parts:
                with anyio.fail_after(self._send_s):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until_gone(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone()
        scope.cancel()
