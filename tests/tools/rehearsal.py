"""A program that plays a person at the other end of the cable: types, waits for words, pulls the plug.

It records the session in the console's README, and drives consoles in the tests and in the image's bench.
"""

from __future__ import annotations

import codecs
import os
import pty
import re
import subprocess
import tempfile
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from firmware.console.armor import to_lines
from firmware.console.challenge import NAMESPACE, Challenge, ChallengeAnswer
from hw.errors import LineGoneError
from hw.serial_port import FdPort, SerialPort
from storage.grant_format import Bundle
from storage.ssh_signature import PrivateKey, sign

WAIT_S = 300.0  # the machine may be loaded
LOOK_S = 1.0
_CHALLENGE = re.compile(r"^([A-Za-z0-9._@-]+:[a-z2-7]{32}:[0-9a-f]{4})\s*$", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CUT = re.compile(r"\x1b(\[[0-9;]*)?$")


class Silence(AssertionError):  # noqa: N818 - what happened
    """The expected words did not come; the text has what came instead."""


@contextmanager
def console_of(home: Path, reader: Sequence[str]) -> Iterator[Hands]:
    """`reader console` at one end of a pseudo-terminal, hands at the other. `reader`: its command line."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [*reader, "--home", str(home), "console", "--port", os.ttyname(theirs)],
            stdout=subprocess.DEVNULL,
            stderr=words,
        )

        def ended() -> str:
            if process.poll() is None:
                return ""
            words.seek(0)
            return f"the console ended with {process.returncode}: {words.read().decode(errors='replace')}"

        try:
            yield Hands(FdPort(ours, ours, name="pty"), ended=ended)
        finally:
            process.terminate()
            process.wait(timeout=WAIT_S)
            os.close(theirs)
            os.close(ours)


class Hands:
    """Types on one end of a line and reads what comes back. ended: why no more can come, or an empty text."""

    def __init__(self, port: SerialPort, *, ended: Callable[[], str] = str) -> None:
        self._port, self._ended = port, ended
        self._decoder, self._held = codecs.getincrementaldecoder("utf-8")("replace"), ""
        self.seen = ""
        self._unread = 0

    def type(self, line: str) -> None:
        """Type a line and press return."""
        self._port.write(line.encode() + b"\r")

    def press(self, keys: bytes) -> None:
        """Send keys unchanged."""
        self._port.write(keys)

    def wait_for(self, words: str, limit_s: float = WAIT_S) -> str:
        """Wait for words; returns what came since the last wait, up to and with them. Raises Silence."""
        until_s = time.monotonic() + limit_s
        while words not in self.seen[self._unread :]:
            left_s, why = until_s - time.monotonic(), self._ended()
            if left_s <= 0:
                raise Silence(f"waited for {words!r}, got {self.seen[self._unread :][-800:]!r}")
            try:
                data = self._port.read(4096, min(left_s, LOOK_S))
            except LineGoneError:
                raise Silence(f"line gone while waiting for {words!r}: {self.seen[-800:]!r}") from None
            if why and not data:
                raise Silence(f"waited for {words!r}, got {self.seen[self._unread :][-800:]!r}; {why}")
            self._hear(data)
        end = self.seen.index(words, self._unread) + len(words)
        came, self._unread = self.seen[self._unread : end], end
        return came

    def skip(self) -> None:
        """Skip what has come so far."""
        while data := self._port.read(4096, 0):
            self._hear(data)
        self._unread = len(self.seen)

    def _hear(self, data: bytes) -> None:
        """Add to `seen`; an incomplete character or control sequence waits for its rest."""
        text = self._held + self._decoder.decode(data)
        cut = _CUT.search(text)
        at = len(text) if cut is None else cut.start()
        self._held = text[at:]
        self.seen += _ANSI.sub("", text[:at])

    def ask(self, line: str, prompt: str) -> str:
        """Type a line; returns what came up to and with the next prompt."""
        self.type(line)
        return self.wait_for(prompt)

    def log_in(self, bundle: Bundle, key: PrivateKey, alter: Callable[[bytes], bytes] = bytes) -> None:
        """Type `login` and paste the answer. alter: changes the answer's bytes on the way."""
        self.type("login")
        match = _CHALLENGE.search(self.wait_for("gives up):").replace("\r", ""))
        if match is None:
            raise Silence("no challenge came")
        answer = answer_to(Challenge.parse(match[1]), bundle, key)
        for line in to_lines(alter(answer.to_bytes())):
            self.type(line)

    def pull(self) -> None:
        """Pull the cable."""
        self._port.close()


def as_shown(seen: str) -> str:
    """What the terminal showed in the end: redrawn lines in their final state, an enrollment code as CODE."""
    rows = [row.rsplit("\r", 1)[-1].rstrip() for row in seen.replace("\r\n", "\n").split("\n")]
    text = _ANSI.sub("", "\n".join(rows))
    return re.sub(r"(?m)^(\S+> ).*[A-Z0-9]{20,}$", r"\1enroll CODE", text) + "\n"


def answer_to(challenge: Challenge, bundle: Bundle, key: PrivateKey) -> ChallengeAnswer:
    """What the holder's laptop answers."""
    return ChallengeAnswer(
        bundle=bundle.to_bytes(), signature=sign(challenge.message(bundle), key, namespace=NAMESPACE)
    )
