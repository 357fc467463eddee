"""Turns bytes from a flaky cable into whole lines: editing, history, completion, echo. No I/O.

Promises: a line with a byte that could not have been typed is reported as spoiled, never handed on. The line
is shown in one row, however narrow the terminal: a longer line scrolls sideways.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LINE_LIMIT = 400
HISTORY_LIMIT = 50
USUAL_COLUMNS = 80
LEAST_COLUMNS, MOST_COLUMNS = 20, 400
PENDING_LIMIT = 16 * 1024  # more unread bytes than this were not typed by a person


@dataclass(frozen=True, slots=True)
class Line:
    """A finished line: printable ASCII."""

    text: str


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A line with noise, or too long; its content is dropped."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The person pressed control-C."""


Event = Line | Spoiled | Interrupted

_ESCAPES = {
    b"[A": "up", b"[B": "down", b"[C": "right", b"[D": "left", b"[H": "home", b"[F": "end", b"[1~": "home",
    b"[4~": "end", b"[3~": "delete", b"OA": "up", b"OB": "down", b"OC": "right", b"OD": "left", b"OH": "home",
    b"OF": "end",
}  # fmt: skip
_CONTROLS = {
    0x01: "home", 0x02: "left", 0x04: "delete", 0x05: "end", 0x06: "right", 0x08: "back", 0x0B: "kill",
    0x0C: "redraw", 0x0E: "down", 0x10: "up", 0x15: "clear", 0x17: "word", 0x7F: "back",
}  # fmt: skip

# Move to the last column and ask for the cursor's position (ECMA-48, CUF and DSR); the answer is a CPR.
_MEASURE = b"\x1b[999C\x1b[6n\r"
_ANSWER = re.compile(rb"\[\d{1,3};(\d{1,3})R")
_ANSWER_BEGUN = re.compile(rb"\[(\d{1,3}(;\d{0,3})?)?")


class LineEditor:
    """One person's line. `feed` bytes, then take events with `next_event` until it returns None;
    `take_output` gives what to show. Prompt and secrecy may change between two events.
    """

    def __init__(self, complete: Callable[[str], Sequence[str]] = lambda _start: ()) -> None:
        self._complete = complete
        self._pending: deque[int] = deque()
        self._output = bytearray()
        self._history: list[str] = []
        self._prompt = b""
        self._secret = False
        self._escape: bytearray | None = None
        self._after_return = False
        self._columns = USUAL_COLUMNS
        self.begun = False  # the cursor's row is not empty
        self._reset()

    def measure(self) -> bytes:
        """The bytes that ask the terminal for its width; its answer comes with what is typed."""
        return _MEASURE

    def leave(self) -> None:
        """Drop what was typed, since the output has left its row."""
        self.begun = False
        self._reset()

    def prompt(self, text: str, *, secret: bool = False) -> None:
        """Show a prompt and begin a line; a secret line is neither echoed nor remembered."""
        self._prompt, self._secret = text.encode("ascii", "replace"), secret
        self._reset()
        self.begun = bool(self._prompt)
        self._output += self._shown_prompt()

    def feed(self, data: bytes) -> None:
        """Take bytes from the line; a flood is dropped and spoils the current line."""
        room = PENDING_LIMIT - len(self._pending)
        self._pending.extend(data[:room])
        if len(data) > room:
            self._spoiled = True

    def take_output(self) -> bytes:
        """The bytes to send to the terminal."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def next_event(self) -> Event | None:
        """The next event in the bytes so far, or None once they are used up."""
        while self._pending:
            event = self._byte(self._pending.popleft())
            if event is not None:
                return event
        return None

    def forget(self) -> None:
        """Drop unread bytes, the current line and the history, for the next person."""
        self._pending.clear()
        self._history.clear()
        self._escape = None
        self._reset()

    def interrupted(self) -> bool:
        """Whether the unread bytes contain a control-C, or any key; drops them. For live views, which take no
        lines.
        """
        pressed = bool(self._pending)
        self._pending.clear()
        return pressed

    def _reset(self) -> None:
        self._text: list[str] = []
        self._cursor = self._start = 0  # _start: the first visible character
        self._spoiled = False
        self._recall = len(self._history)

    def _byte(self, byte: int) -> Event | None:
        after_return, self._after_return = self._after_return, False
        if self._escape is not None:
            return self._escaped(byte)
        if byte in {0x0D, 0x0A}:
            if byte == 0x0A and after_return:
                return None  # CR LF is one line ending
            self._after_return = byte == 0x0D
            return self._finish()
        if byte == 0x03:
            self._output += b"^C\r\n"
            self.leave()
            return Interrupted()
        if byte == 0x1B:
            self._escape = bytearray()
        elif byte == 0x09:
            self._tab()
        elif 0x20 <= byte < 0x7F:
            self._insert(chr(byte))
        elif byte in _CONTROLS:
            self._edit(_CONTROLS[byte])
        else:
            self._spoiled = True
        return None

    def _escaped(self, byte: int) -> Event | None:
        sequence = self._escape
        if sequence is None:
            return None
        sequence.append(byte)
        key = bytes(sequence)
        answer = _ANSWER.fullmatch(key)
        if key in _ESCAPES:
            self._escape = None
            self._edit(_ESCAPES[key])
        elif answer is not None:
            self._escape = None
            self._columns = min(max(int(answer[1]), LEAST_COLUMNS), MOST_COLUMNS)
            if self.begun:
                self._redraw()
        elif _ANSWER_BEGUN.fullmatch(key):
            pass
        elif not any(known.startswith(key) for known in _ESCAPES):
            self._escape = None
            if byte in {0x0D, 0x0A, 0x03}:
                self._spoiled = True
                return self._byte(byte)
            self._spoiled = True
        return None

    def _finish(self) -> Event:
        if self._prompt or not self._secret:  # lines pasted without echo leave no empty rows
            self._output += b"\r\n"
        text, spoiled = "".join(self._text), self._spoiled
        if text.strip() and not spoiled and not self._secret and self._history[-1:] != [text]:
            self._history = [*self._history, text][-HISTORY_LIMIT:]
        self.leave()
        return Spoiled() if spoiled else Line(text)

    def _insert(self, character: str) -> None:
        if len(self._text) >= LINE_LIMIT:
            self._spoiled = True
            return
        self._text.insert(self._cursor, character)
        self._cursor += 1
        if self._cursor == len(self._text) and self._cursor - self._start <= self._room():
            self._echo(character)
        else:
            self._redraw()

    def _edit(self, key: str) -> None:
        if key == "back":
            if self._cursor:
                del self._text[self._cursor - 1]
                self._cursor -= 1
        elif key == "delete":
            del self._text[self._cursor : self._cursor + 1]
        elif key == "left":
            self._cursor = max(0, self._cursor - 1)
        elif key == "right":
            self._cursor = min(len(self._text), self._cursor + 1)
        elif key == "home":
            self._cursor = 0
        elif key == "end":
            self._cursor = len(self._text)
        elif key == "kill":
            del self._text[self._cursor :]
        elif key == "clear":
            self._reset()
        elif key == "word":
            self._rub_out_word()
        elif key in {"up", "down"}:
            self._walk_history(-1 if key == "up" else 1)
        self._redraw()

    def _rub_out_word(self) -> None:
        start = self._cursor
        while start and self._text[start - 1] == " ":
            start -= 1
        while start and self._text[start - 1] != " ":
            start -= 1
        del self._text[start : self._cursor]
        self._cursor = start

    def _walk_history(self, step: int) -> None:
        if self._secret:
            return
        self._recall = max(0, min(len(self._history), self._recall + step))
        recalled = self._history[self._recall] if self._recall < len(self._history) else ""
        self._text, self._cursor = list(recalled), len(recalled)

    def _tab(self) -> None:
        if self._secret or self._cursor != len(self._text):
            return
        options = list(self._complete("".join(self._text)))
        typed = len("".join(self._text).rpartition(" ")[2])
        if not options:
            return
        shared = options[0]
        for option in options[1:]:
            while not option.startswith(shared):
                shared = shared[:-1]
        addition = shared[typed:] + (" " if len(options) == 1 else "")
        for character in addition:
            self._insert(character)
        if not addition:
            self._output += b"\r\n" + "  ".join(options).encode("ascii", "replace") + b"\r\n"
            self._redraw()

    def _echo(self, text: str) -> None:
        if not self._secret:
            self.begun = True
            self._output += text.encode("ascii")

    def _shown_prompt(self) -> bytes:
        """The prompt, or only its end if it takes more than half of the row."""
        return self._prompt[-(self._columns // 2) :]

    def _room(self) -> int:
        """How many characters fit after the prompt; the last column stays free, so that nothing wraps."""
        return self._columns - 1 - len(self._shown_prompt())

    def _redraw(self) -> None:
        if self._secret:
            return
        room = self._room()
        if not self._start <= self._cursor <= self._start + room:
            self._start = max(0, self._cursor - room // 2)
        if len(self._text) <= room:
            self._start = 0
        seen = "".join(self._text[self._start : self._start + room]).encode("ascii")
        self._output += b"\r" + self._shown_prompt() + seen + b"\x1b[K"
        behind = len(seen) - (self._cursor - self._start)
        if behind:
            self._output += b"\x1b[%dD" % behind
