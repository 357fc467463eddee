"""Runs a search step by step from a command: progress on stderr, Ctrl-C cancels it cleanly."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from storage.counts import counted
from sync.command_frame import INTERRUPTED
from sync.department.commands import desk_access
from sync.department.content.reads import left_out
from sync.department.desk.inquiry import forms
from sync.department.desk.json_forms import to_json
from sync.department.journal.marking import WORDS
from sync.errors import DONE


def run_by_steps(
    terminal: desk_access.Terminal,
    call: Callable[[str, Any], Any],
    form: forms.RunForm,
    columns: tuple[str, ...],
) -> int:
    """Begin the search, open it part by part, print what each part found. Returns 130 if Ctrl-C cancelled
    it."""
    begun: forms.BegunSearch = call("inquiry/begin", form)
    much = f"{counted(begun.reads, 'read')} of {counted(begun.days, 'day')}, in about {begun.seconds:.0f} s"
    _print(f"this opens {much}; Ctrl-C cancels")
    step_form = forms.StepForm(access=begun.access, query=begun.query)
    unwitnessed = begun.unwitnessed
    with _interrupts() as interrupted:
        while True:
            step: forms.Step = call("inquiry/step", step_form)
            unwitnessed = unwitnessed or step.unwitnessed
            _show(terminal, step, columns)
            _progress(step)
            if interrupted or not step.after:
                break
            step_form = replace(step_form, after=step.after)
        ended: forms.StoppedSearch = call("inquiry/stop", forms.StopForm(access=begun.access))
    cancelled = ended.opened < ended.of and bool(interrupted or step.cancelled)
    mark = f"  {WORDS}" if unwitnessed else ""
    how = "cancelled" if cancelled else "done"
    facts = to_json(ended) | {"access": begun.access, "how": how, "unwitnessed": unwitnessed}
    facts["days_left_out"] = begun.days_left_out
    words = f"ALPR Request: entry {begun.access}, {ended.found} results{left_out(begun.days_left_out)}"
    if cancelled:
        words += f"; cancelled: {ended.opened} of {ended.of} reads were opened (entry {ended.entry})"
    print(json.dumps(facts) if terminal.common.json else words + mark)
    return INTERRUPTED if cancelled else DONE


def _show(terminal: desk_access.Terminal, step: forms.Step, columns: tuple[str, ...]) -> None:
    if terminal.common.json:
        print(json.dumps(to_json(step)), flush=True)
    else:
        terminal.rows(step.reads, columns)


def _progress(step: forms.Step) -> None:
    percent = 100 * step.opened // step.of if step.of else 100
    _print(f"{percent:3d} %  {step.opened} of {step.of} reads opened, {step.found} found")


def _print(words: str) -> None:
    print(f"department: {words}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Note the first Ctrl-C, which takes effect after the current step; a second one interrupts at once."""
    seen: list[int] = []

    def note(number: int, frame: types.FrameType | None) -> None:
        if seen:
            signal.default_int_handler(number, frame)
        seen.append(number)
        _print("cancelling after this step")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
