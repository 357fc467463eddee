"""The dialog of a login: the challenge, the pasted answer, the check, and the count of failures."""

from __future__ import annotations

from collections.abc import Callable

from firmware.console.armor import Collector
from firmware.console.challenge import LIFE_S, Challenge
from firmware.console.errors import ClockLoginError, LineRefusedError, LoginRefusedError
from firmware.console.failed_logins import FailedLogins
from firmware.console.grant_use import GrantUse
from firmware.console.hand import Hand
from firmware.console.line_editor import Interrupted, Spoiled
from firmware.console.login import Admission, CommandKeys, admit
from firmware.console.unit import MaintainedUnit
from firmware.screen import printable
from storage.errors import StorageError

TOO_LATE = "the challenge is too old: log in again"


class Doorkeeper:
    """Admits people at one console. refused: records a failed login with its reason."""

    def __init__(
        self,
        unit: MaintainedUnit,
        keys: CommandKeys,
        failures: FailedLogins,
        hand: Hand,
        use: GrantUse,
        *,
        running_s: Callable[[], float],
        refused: Callable[[str], None],
    ) -> None:
        self._unit, self._keys, self._failures, self._hand, self._use = unit, keys, failures, hand, use
        self._running_s, self._refused = running_s, refused
        self.answering_since_s: float | None = None

    def let_in(self) -> Admission | None:
        """Run one login; None if the person gives up. Raises ConsoleError.

        A grant that fails only because of the unit's clock raises ClockLoginError and is not a failed login.
        """
        self._failures.check()
        challenge = Challenge.ask(self._unit.identity().unit, self._running_s())
        self._hand.say(
            "challenge:", "", challenge.text, "",
            "on your laptop:  reader grant --grant FILE --key KEY CHALLENGE",
            "then paste the lines that it prints (control-C gives up):",
        )  # fmt: skip
        self.answering_since_s = self._running_s()
        try:
            answer = self._collect(challenge)
        finally:
            self.answering_since_s = None
        if answer is None:
            self._hand.say("given up")
            return None
        return self._checked(answer, challenge)

    def succeeded(self) -> None:
        """Reset the count of failures, once the login is logged."""
        self._failures.succeeded()

    def _collect(self, challenge: Challenge) -> bytes | None:
        collector = Collector()
        while self._running_s() - challenge.asked_s <= LIFE_S:
            event = self._hand.next_line("", secret=True)
            if isinstance(event, Interrupted):
                return None
            if isinstance(event, Spoiled):
                self._hand.say("noise on the line: paste the last line again")
            elif event.text.strip():
                try:
                    whole = collector.take(event.text)
                except LineRefusedError as error:
                    self._hand.say(str(error))
                    continue
                if whole is not None:
                    return whole
        raise LoginRefusedError(TOO_LATE)

    def _checked(self, answer: bytes, challenge: Challenge) -> Admission:
        with self._failures.turn:
            self._failures.check()  # another console may have locked it since the challenge
            try:
                return admit(
                    answer, challenge, self._unit, self._keys, running_s=self._running_s(), use=self._use
                )
            except ClockLoginError as error:
                self._refused(printable(str(error)))
                raise
            except (StorageError, LoginRefusedError) as error:
                reason = printable(str(error))  # it may quote what a stranger sent
            locked = self._failures.failed()
        self._refused(reason + (" (locked)" if locked else ""))
        raise LoginRefusedError(f"refused: {reason}")
