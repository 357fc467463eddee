"""A search as a stream: POST /desk/inquiry/stream makes each step and writes it as a line of JSON.

    {"event": "begin", ...}    as inquiry/begin answers: how much, about how long
    {"event": "step", ...}     as inquiry/step answers: what was found, how far it has come
    {"event": "end", "how": "done" or "cancelled", ...}    as inquiry/stop answers
    {"event": "refused", "refused", "clause", "what", "cure"}    instead of the next step; nothing more comes

The body and the Statement are those of inquiry/begin. If the client disconnects or the server stops, the
search is cancelled: the step under way ends within a few hundred reads, and the log says how far the search
went.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
from starlette.types import Receive, Scope, Send

from sync.department.desk.calling import Calling, error_answer
from sync.department.desk.inquiry.forms import BegunSearch
from sync.department.desk.json_forms import to_json
from sync.department.desk.lasting import LastingAnswer
from sync.department.ground.sparingly import Sparingly
from sync.department.policy.refusals import DeskRefusal

MEDIA_TYPE = "application/x-ndjson"


class SearchStream(LastingAnswer):
    """The streamed answer of a search that was begun."""

    media_type = MEDIA_TYPE

    def __init__(self, calling: Calling, token: str, begun: BegunSearch, events: Sparingly) -> None:
        super().__init__(self._lines(), unwitnessed=begun.unwitnessed)
        self._calling, self._token, self._begun, self._events = calling, token, begun, events
        self._going = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._going:
                with anyio.CancelScope(shield=True), contextlib.suppress(DeskRefusal):
                    await self._stop()

    def gone(self) -> None:
        progress = self._calling.front.under_way.get(self._begun.access)
        if progress is not None:
            progress.asked_to_stop = True

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        begun = self._begun
        query, after = to_json(begun.query), ""
        yield _line("begin", to_json(begun))
        while self._going:
            form = {"access": begun.access, "query": query, "after": after}
            try:
                step = await self._calling.operation("inquiry/step", self._token, form)
            except Exception as error:  # noqa: BLE001 - every error has the one form
                said = error_answer(error, self._events)
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
