"""The person at the other end of a line: sends them text, and receives whole lines that they type.

Promise: `check` is called between two looks at the line, so that a session ends on time even if the person
types nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from firmware.console.errors import UnitRefusedError
from firmware.console.line_editor import Event, Line, LineEditor
from firmware.screen import fitted
from firmware.threads import SignalEvent
from hw.serial_port import SerialPort

READ_BYTES = 1024
CONTROL_C = b"\x03"
PROMPT_LIMIT = 30  # characters; a longer question gets its own row


class Hand:
    """One line with its editor. check: raises what ends the session, and may raise any other error."""

    def __init__(
        self,
        port: SerialPort,
        *,
        complete: Callable[[str], Sequence[str]],
        check: Callable[[], None],
        running_s: Callable[[], float],
        tick_s: float,
        pace_s: float,
    ) -> None:
        self._port, self._check, self._running_s = port, check, running_s
        self._tick_s, self._pace_s = tick_s, pace_s
        self._editor = LineEditor(complete)
        self._paced = SignalEvent()
        self.typed_s = running_s()  # when the last whole line came
        self.asking = False  # a command waits for one more line

    def greet(self) -> None:
        """Ask the terminal for its width; one that does not answer counts as 80 columns wide."""
        self._port.write(self._editor.measure())

    def say(self, *lines: str) -> None:
        """Show whole lines in rows that fit; ends the row of a line that is being typed first."""
        start = "\r\n" if self._editor.begun else ""
        rows = (row for line in lines for row in fitted(line))
        self._port.write((start + "".join(f"{row}\r\n" for row in rows)).encode())
        self._editor.leave()

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._port.write(data)

    def next_line(self, prompt: str, *, secret: bool = False) -> Event:
        """Wait for a line. Raises what `check` raises, and LineGoneError."""
        self._editor.prompt(prompt, secret=secret)
        while True:
            event = self._editor.next_event()
            output = self._editor.take_output()
            if output:
                self._port.write(output)
            self._check()  # what was typed ahead does not count after the end
            if event is not None:
                if isinstance(event, Line):  # noise of a loose wire is no line, and keeps no session open
                    self.typed_s = self._running_s()
                return event
            data = self._port.read(READ_BYTES, self._tick_s)
            self._editor.feed(data)
            if len(data) == READ_BYTES:
                self.rest(self._pace_s)

    def ask(self, prompt: str, *, secret: bool) -> str:
        """Ask for another line for a command. Raises UnitRefusedError if the person gives up."""
        if len(prompt) > PROMPT_LIMIT:
            self.say(prompt.rstrip())
            prompt = "> "
        self.asking = True
        try:
            event = self.next_line(prompt, secret=secret)
        finally:
            self.asking = False
        if isinstance(event, Line):
            return event.text
        raise UnitRefusedError("given up, nothing was changed")

    def interrupted(self) -> bool:
        """Whether control-C came while a command ran; keeps anything else that was typed ahead."""
        typed = self._port.read(256, 0.0)
        if CONTROL_C in typed:
            return True
        self._editor.feed(typed)
        return False

    def key_pressed(self, wait_s: float) -> bool:
        """Whether a key is pressed within this time, which ends a live view."""
        until_s = self._running_s() + wait_s
        while True:
            left_s = until_s - self._running_s()
            if self._port.read(256, max(0.0, min(left_s, self._tick_s))):
                self.typed_s = self._running_s()
                return True
            self._check()
            if left_s <= 0:
                return False

    def rest(self, seconds: float) -> None:
        """Pause, to slow a flood down; `stop` ends the pause."""
        self._paced.wait(seconds)

    def stop(self) -> None:
        """End all pauses; from another thread or a signal handler."""
        self._paced.set()

    def forget(self) -> None:
        """Forget what this person typed: another may come."""
        self._editor.forget()
