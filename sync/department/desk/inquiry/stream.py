"""A search as a stream: POST /desk/inquiry/stream makes each step and writes it as a line of JSON.

    {"event": "begin", ...}    as inquiry/begin answers: how much, about how long
    {"event": "step", ...}     as inquiry/step answers: what was found, how far it came
    {"event": "end", "how": "done" or "cancelled", ...}    as inquiry/stop answers
    {"event": "refused", "refused", "clause", "what", "cure"}    instead of the next step; nothing more comes

The body and the Statement are those of inquiry/begin. A client that is gone, and a server that stops, cancel
the search: the step under way ends within a few hundred reads, and the log says how far it went.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sync.department.desk.calling import Calling, said_of
from sync.department.desk.inquiry.forms import BegunSearch
from sync.department.desk.json_forms import to_json
from sync.department.ground.problem import NO_STORE
from sync.department.ground.sparingly import Sparingly
from sync.department.journal.marking import WORDS
from sync.department.policy.refusals import DeskRefusal

SEND_S = 20.0  # a reader that takes nothing for so long is dropped
MEDIA_TYPE = "application/x-ndjson"


class SearchStream(StreamingResponse):
    """The answer of a search that was begun."""

    media_type = MEDIA_TYPE

    def __init__(
        self, calling: Calling, token: str, begun: BegunSearch, events: Sparingly, *, send_s: float = SEND_S
    ) -> None:
        marked = {"X-Not-Witnessed": WORDS} if begun.unwitnessed else {}
        super().__init__(self._lines(), headers=NO_STORE | {"x-accel-buffering": "no"} | marked)
        self._calling, self._token, self._begun, self._events = calling, token, begun, events
        self._send_s = send_s
        self._going = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_gone, receive, group.cancel_scope)
                try:
                    await self._tell(send)
                finally:
                    group.cancel_scope.cancel()
        finally:
            if self._going:
                with anyio.CancelScope(shield=True), contextlib.suppress(DeskRefusal):
                    await self._stop()

    async def _tell(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for line in self._lines():
            with anyio.fail_after(self._send_s):
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until_gone(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        progress = self._calling.front.under_way.get(self._begun.access)
        if progress is not None:
            progress.asked_to_stop = True
        scope.cancel()

    async def _lines(self) -> AsyncIterator[bytes]:
        begun = self._begun
        query, after = to_json(begun.query), ""
        yield _line("begin", to_json(begun))
        while self._going:
            form = {"access": begun.access, "query": query, "after": after}
            try:
                step = await self._calling.operation("inquiry/step", self._token, form)
            except Exception as error:  # noqa: BLE001 - every error is told in the one form
                said = said_of(error, self._events)
                words = {"clause": said.clause, "what": said.what, "cure": said.cure}
                yield _line("refused", {"refused": said.code} | words)
                return
            self._going, after = bool(step.after), step.after
            yield _line("step", to_json(step))
        ended = await self._stop()
        yield _line("end", {"how": "cancelled" if step.cancelled else "done"} | to_json(ended))

    async def _stop(self) -> Any:
        """The end of the search, as the log has it."""
        self._going = False
        return await self._calling.operation("inquiry/stop", self._token, {"access": self._begun.access})


def _line(event: str, facts: Mapping[str, object]) -> bytes:
    return json.dumps({"event": event} | dict(facts)).encode() + b"\n"
