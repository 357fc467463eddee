"""One console on one line: prompts, login, commands, and the ends of a session.

Promise: without a record no command begins; with a cable pulled, time over, a grant revoked or nobody typing,
the session is over and the log says why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from firmware.console.armour import Collector
from firmware.console.challenge import LIFE_S, Challenge
from firmware.console.errors import (
    ConsoleError,
    LineRefusedError,
    LoginRefusedError,
    NotGrantedError,
    SessionEndedError,
    UnitRefusedError,
)
from firmware.console.line_editor import Event, Interrupted, Line, LineEditor, Spoiled
from firmware.console.lockout import Lockout
from firmware.console.login import Admission, CommandKeys, admit
from firmware.console.maintenance import MaintenanceLog, Recording, SessionLog
from firmware.console.parser import FORMS, Command, completions, parse, recorded_form
from firmware.console.unit import Unit
from firmware.console.verbs import Context, boottime_s, carry_out, told
from firmware.errors import FirmwareError
from firmware.screen import printable
from hw.errors import LineGoneError
from hw.serial_port import SerialPort
from storage.errors import StorageError
from sync.errors import SyncError

IDLE_S = 300.0
STRANGER_S = 120.0  # a line that was opened for a visit hangs up on whoever neither logs in nor works
TICK_S = 0.5
READ_BYTES = 1024
PACE_S = (
    0.1  # after a line, and after READ_BYTES at once: slows no person, and a flood costs the reader little
)
STRANGER_PACES = 10  # whoever has not logged in fills the log no faster than this
REVOCATION_EVERY_S = 5.0
NAME_LIMIT = 20
TOO_LATE = "the challenge is too old: log in again"
_ALWAYS = ("help", "exit")


class Console:
    """The console of one unit on one line. `serve` returns when the line is gone, or `stop` was called.

    stays: the next person finds a prompt when one session is over; else the line is hung up then.
    notice: what whoever comes to an enrolled unit has to know first.
    """

    def __init__(
        self,
        port: SerialPort,
        unit: Unit,
        log: MaintenanceLog,
        *,
        keys: CommandKeys,
        lockout: Lockout,
        running_s: Callable[[], float] = boottime_s,
        idle_s: float = IDLE_S,
        tick_s: float = TICK_S,
        pace_s: float = PACE_S,
        stays: bool = True,
        notice: str = "",
    ) -> None:
        self._port, self._unit, self._log = port, unit, log
        self._keys, self._lockout, self._running_s = keys, lockout, running_s
        self._idle_s, self._tick_s, self._pace_s = idle_s, tick_s, pace_s
        self._stays, self._notice = stays, notice
        self._completed: tuple[str, ...] = ()
        self._editor = LineEditor(lambda start: completions(start, self._completed))
        self._admission: Admission | None = None
        self._session = self._fresh_session()
        self._recording: Recording | None = None
        self._typed_s = self._checked_s = self._served_s = running_s()
        self._answering = self._asking = False
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End from another thread: the unit shuts down."""
        self._stopped.set()

    @property
    def in_session(self) -> bool:
        """Whether somebody is logged in, or a command runs."""
        return self._admission is not None or self._recording is not None

    def serve(self) -> None:
        """Talk until the line is gone. Raises nothing that a person at the cable could cause."""
        try:
            self._banner()
            while True:
                try:
                    self._once()
                except SessionEndedError as end:
                    self._close(end.reason)
                    self._say(f"{end}; log in again" if end.reason != "exit" else "bye")
                    if not self._stays or end.reason in {"reboot", "reset", "stopped"}:
                        return
                    self._banner()
        except LineGoneError:
            self._close("cable pulled")
        finally:
            self._close("console failed")  # does nothing after any other end

    # -- the line
    # ---------------------------------------------------------------------------------------------

    def _banner(self) -> None:
        identity = self._unit.identity()
        state = "enrolled" if identity.enrolled else "not enrolled"
        self._say("", f"ALPR reader {identity.shown}, {state}. Maintenance console; everything is recorded.")
        if identity.enrolled:
            if self._notice:
                self._say(self._notice)
            self._say("type login")
        elif identity.empty:
            self._say("not enrolled and empty: enrol, aim, selftest and network are open")
        else:
            self._say(
                "not enrolled, and it holds reads: nothing is open here. Whoever administers the unit",
                "enrols it with `reader enrol CODE`, or gives it an empty home",
            )

    def _once(self) -> None:
        self._completed = self._offered()  # once a line: a flood of tabs asks the unit nothing
        event = self._next_line(self._prompt())
        if isinstance(event, Spoiled):
            self._say("noise on the line: nothing was done, type it again")
        if isinstance(event, Line):
            self._served_s = self._running_s()
            self._typed(event.text)
            self._served_s = self._running_s()
            a_stranger = self._admission is None and "login" in self._completed
            self._stopped.wait(self._pace_s * (STRANGER_PACES if a_stranger else 1))

    def _prompt(self) -> str:
        person = f" {self._admission.grant.person}" if self._admission else ""
        return f"{self._unit.identity().name[:NAME_LIMIT]}{person}> "

    def _next_line(self, prompt: str, *, secret: bool = False) -> Event:
        self._editor.prompt(prompt, secret=secret)
        while True:
            event = self._editor.next_event()
            self._flush()
            self._check_session()  # what was typed ahead is of no use after the end
            if event is not None:
                if isinstance(event, Line):  # a loose wire makes bytes, and no line: it holds nothing open
                    self._typed_s = self._running_s()
                return event
            data = self._port.read(READ_BYTES, self._tick_s)
            self._editor.feed(data)
            if len(data) == READ_BYTES:
                self._stopped.wait(self._pace_s)

    def _flush(self) -> None:
        output = self._editor.take_output()
        if output:
            self._port.write(output)

    def _say(self, *lines: str) -> None:
        self._port.write("".join(f"{line}\r\n" for line in lines).encode())

    # -- who may do what
    # --------------------------------------------------------------------------------------

    def _offered(self) -> tuple[str, ...]:
        """Commands open now, in the order of help."""
        if self._admission is not None:
            named = set(self._admission.grant.commands)
            return tuple(name for name, form in FORMS.items() if form.granted in named or name in _ALWAYS)
        identity = self._unit.identity()
        if identity.enrolled:
            return ("login", *_ALWAYS)
        if identity.empty:
            return tuple(name for name, form in FORMS.items() if form.before_enrolment)
        return _ALWAYS

    def _check_session(self) -> None:
        """Raises SessionEndedError when the time is over, the grant revoked, nobody types, or we stop."""
        now_s = self._running_s()
        if self._stopped.is_set():
            raise SessionEndedError("stopped", "the unit is shutting down")
        if self._answering and now_s - self._served_s > LIFE_S:
            raise LoginRefusedError(TOO_LATE)
        if self._admission is None:
            if self._recording is not None and now_s - self._checked_s >= REVOCATION_EVERY_S:
                self._check_still_open(self._recording)
            at_work = self._recording is not None and not self._asking
            if at_work or self._answering or self._stays:
                return
            if now_s - self._served_s >= STRANGER_S:
                raise SessionEndedError("idle", "nobody logged in: hung up")
            return
        if now_s >= self._admission.until_s:
            raise SessionEndedError("time over", "the time of this session is over")
        at_work = self._recording is not None and not self._asking
        if not at_work and now_s - self._typed_s >= self._idle_s:
            raise SessionEndedError("idle", "nobody typed: locked")
        if now_s - self._checked_s >= REVOCATION_EVERY_S:
            self._check_revocation()

    def _check_still_open(self, recording: Recording) -> None:
        """What is open to all at a new unit ends once it is enrolled at another console."""
        self._checked_s = self._running_s()
        name = recording.line.partition(" ")[0]
        if name != "enrol" and name not in self._offered():
            raise SessionEndedError("enrolled", "this unit was enrolled meanwhile")

    def _check_revocation(self) -> None:
        self._checked_s = self._running_s()
        if self._admission is None:
            return
        try:
            revoked = self._unit.revoked()
        except (FirmwareError, StorageError, SyncError, OSError) as error:
            raise SessionEndedError("revocation unknown", told(error)) from None
        if self._admission.names & revoked:
            raise SessionEndedError("revoked", "this grant was taken back")

    def _typed(self, text: str) -> None:
        try:
            command = parse(text)
            if command is None:
                return
            if command.form.name not in self._offered():
                open_here = ", ".join(self._offered())
                raise NotGrantedError(f"{command.form.name} is not open to you here; open are: {open_here}")
        except ConsoleError as error:
            self._refuse(recorded_form(text), str(error))
            return
        if command.form.name == "exit":
            raise SessionEndedError("exit", "bye")
        if command.form.name == "login":
            self._login()
        else:
            self._carry_out(command)

    def _refuse(self, recorded: str, reason: str) -> None:
        if self._admission is not None and not self._written(
            lambda: self._session.end(self._session.begin(recorded, live=False), "refused")
        ):
            return
        self._say(reason)

    # -- login and logout
    # -------------------------------------------------------------------------------------

    def _login(self) -> None:
        try:
            self._lockout.check()
            challenge = Challenge.ask(self._unit.identity().unit, self._running_s())
            self._say(
                "challenge:", "", challenge.text, "",
                "on your laptop:  reader grant --grant FILE --key KEY CHALLENGE",
                "then paste the lines that it prints (control-C gives up):",
            )  # fmt: skip
            self._answering = True
            try:
                answer = self._collect(challenge)
            finally:
                self._answering = False
            if answer is None:
                self._say("given up")
                return
            self._admission = self._checked(answer, challenge)
        except SessionEndedError:
            raise
        except ConsoleError as error:
            self._say(told(error))
            return
        grant = self._admission.grant
        self._session = self._fresh_session()
        if not self._written(lambda: self._session.opened(f"{grant.purpose}; {grant.work_order}")):
            self._admission = None
            return
        self._lockout.succeeded()
        self._editor.forget()
        left_min = (self._admission.until_s - self._running_s()) / 60
        self._say(f"welcome {grant.person} ({grant.role}, {grant.organisation}): {grant.purpose}")
        self._say(f"work order {grant.work_order}; this session lasts {left_min:.0f} min at most; type help")

    def _collect(self, challenge: Challenge) -> bytes | None:
        collector = Collector()
        while self._running_s() - challenge.asked_s <= LIFE_S:
            event = self._next_line("", secret=True)
            if isinstance(event, Interrupted):
                return None
            if isinstance(event, Spoiled):
                self._say("noise on the line: paste the last line again")
            elif isinstance(event, Line) and event.text.strip():
                try:
                    whole = collector.take(event.text)
                except LineRefusedError as error:
                    self._say(str(error))
                    continue
                if whole is not None:
                    return whole
        raise LoginRefusedError(TOO_LATE)

    def _checked(self, answer: bytes, challenge: Challenge) -> Admission:
        with self._lockout.turn:
            self._lockout.check()  # another line may have locked it since the challenge
            try:
                return admit(answer, challenge, self._unit, self._keys, self._running_s())
            except (StorageError, LoginRefusedError) as error:
                reason = printable(str(error))  # it may quote what a stranger sent
            locked = self._lockout.failed()
        self._written(lambda: self._fresh_session().refused(reason + (" (locked)" if locked else "")))
        raise LoginRefusedError(f"refused: {reason}")

    def _fresh_session(self) -> SessionLog:
        grant = self._admission.grant if self._admission else None
        return SessionLog(self._log, lambda: self._unit.time_us()[0], grant)

    def _close(self, reason: str) -> None:
        if self._recording is not None:
            recording, self._recording = self._recording, None
            with suppress(Exception):  # whoever shuts down may have closed the log
                self._session.end(recording, reason)
        if self._admission is not None:
            self._admission = None
            with suppress(Exception):  # the next start finds the open session in the log
                self._session.closed(reason)
        self._editor.forget()
        self._session = self._fresh_session()

    # -- commands
    # ---------------------------------------------------------------------------------------------

    def _written(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except (StorageError, OSError) as error:
            self._say(f"cannot be recorded, so it is not done: {told(error)}")
            return False
        return True

    def _carry_out(self, command: Command) -> None:
        self._check_revocation()
        name = command.form.name
        begun: list[Recording] = []
        if not self._written(
            lambda: begun.append(self._session.begin(command.recorded, live=command.form.live))
        ):
            return
        self._recording = recording = begun[0]
        try:
            self._show(command, recording)
            result = "done"
        except (LineGoneError, SessionEndedError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a part throws up ends the command, not the session
            result = f"failed: {type(error).__name__}"
            text = f"{told(error)}\r\n".encode()
            recording.take(text)
            self._port.write(text)
        self._recording, self._typed_s = None, self._running_s()
        if name == "factory-reset" and result == "done":
            raise SessionEndedError("reset", "the unit is empty and restarts")
        try:
            self._session.end(recording, result)
        except (StorageError, OSError) as error:
            told_why = f"{name} ran, and its end cannot be recorded: {told(error)}"
            raise SessionEndedError("not recorded", told_why) from None
        if name == "reboot" and result == "done":
            raise SessionEndedError("reboot", "the unit restarts")

    def _show(self, command: Command, recording: Recording) -> None:
        context = Context(
            unit=self._unit,
            grant=self._admission.grant if self._admission else None,
            offered=self._offered(),
            ask_secret=lambda prompt: self._ask(prompt, secret=True),
            ask=lambda prompt: self._ask(prompt, secret=False),
            key_pressed=self._key_pressed,
            running_s=self._running_s,
        )
        # What must not stop half-way runs to its end even when nobody is left to read its lines.
        to_the_end = command.form.name in {"factory-reset", "update"} and bool(command.words)
        gone: LineGoneError | None = None
        lines = carry_out(command, context)
        try:
            for line in lines:
                data = f"{line}\r\n".encode()
                recording.take(data)
                try:
                    if gone is None:
                        self._port.write(data)
                        if not to_the_end:
                            self._check_running(live=command.form.live)
                except LineGoneError as error:
                    if not to_the_end:
                        raise
                    gone = error
        finally:
            lines.close()  # type: ignore[attr-defined]  # carry_out is a generator
        if gone is not None:
            raise gone

    def _check_running(self, *, live: bool) -> None:
        self._check_session()
        if live:
            return
        typed = self._port.read(256, 0.0)
        if b"\x03" in typed:
            raise UnitRefusedError("interrupted")
        self._editor.feed(typed)

    def _key_pressed(self, wait_s: float) -> bool:
        until_s = self._running_s() + wait_s
        while True:
            left_s = until_s - self._running_s()
            if self._port.read(256, max(0.0, min(left_s, self._tick_s))):
                self._typed_s = self._running_s()
                return True
            self._check_session()
            if left_s <= 0:
                return False

    def _ask(self, prompt: str, *, secret: bool) -> str:
        self._asking = True
        try:
            event = self._next_line(prompt, secret=secret)
        finally:
            self._asking = False
        if isinstance(event, Line):
            return event.text
        raise UnitRefusedError("given up, nothing was changed")
