"""One console on one line: prompts, permissions, commands, and the end of a session.

Promises: no command begins without a record; when the cable is pulled, the time is over, the grant is revoked
or nothing is typed, the session ends and the log has the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from firmware.console.challenge import LIFE_S
from firmware.console.doorkeeper import TOO_LATE, Doorkeeper
from firmware.console.errors import (
    ClockLoginError,
    ConsoleError,
    LineRefusedError,
    LoginRefusedError,
    SessionEndedError,
    UnitRefusedError,
)
from firmware.console.failed_logins import FailedLogins
from firmware.console.grant_use import GrantUse
from firmware.console.hand import Hand
from firmware.console.line_editor import Line, Spoiled
from firmware.console.login import Admission, CommandKeys
from firmware.console.maintenance import MaintenanceLog, Recording, SessionLog
from firmware.console.parser import FORMS, Command, completions, parse, recorded_form
from firmware.console.unit import MaintainedUnit
from firmware.console.verbs import Context, carry_out, screen_error
from firmware.screen import fitted
from firmware.threads import SignalEvent
from hw.clock import boottime_s
from hw.errors import LineGoneError
from hw.serial_port import SerialPort
from storage.errors import ExplainedError, StorageError
from storage.grant_format import Grant

IDLE_S = 300.0
STRANGER_S = 120.0  # idle visits without a login are disconnected after this time
TICK_S = 0.5
# After a line, and after READ_BYTES at once: a person does not notice, and a flood costs the reader little.
PACE_S = 0.1
STRANGER_PACES = 10  # so that anyone who has not logged in fills the log only slowly
LOOK_EVERY_S = 5.0  # for revocations, and for a reader that waits for the home
NAME_LIMIT = 20
_ALWAYS = ("help", "exit")


class Console:
    """The console of one unit on one line. `serve` returns when the line is gone or `stop` was called.

    stays: after a session the next person finds a prompt; otherwise the line is closed.
    notice: what a visitor to an enrolled unit must know first. wanted: whether a reader waits for the
    home that this console holds; then anyone who has not logged in is sent to the reader's own console.
    """

    def __init__(
        self,
        port: SerialPort,
        unit: MaintainedUnit,
        log: MaintenanceLog,
        *,
        keys: CommandKeys,
        failures: FailedLogins,
        use: GrantUse | None = None,
        running_s: Callable[[], float] = boottime_s,
        tick_s: float = TICK_S,
        pace_s: float = PACE_S,
        stays: bool = True,
        notice: str = "",
        wanted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._unit, self._log, self._running_s = unit, log, running_s
        self._use = use or GrantUse()
        self._pace_s = pace_s
        self._stays, self._notice, self._wanted = stays, notice, wanted
        self._completed: tuple[str, ...] = ()
        self._hand = Hand(
            port,
            complete=lambda start: completions(start, self._completed),
            check=self._check_session,
            running_s=running_s,
            tick_s=tick_s,
            pace_s=pace_s,
        )
        self._door = Doorkeeper(
            unit, keys, failures, self._hand, self._use, running_s=running_s, refused=self._record_refused
        )
        self._admission: Admission | None = None
        self._clock_setter: Grant | None = None  # a grant that only the clock makes invalid
        self._clock_until_s = 0.0
        self._session = self._fresh_session()
        self._recording: Recording | None = None
        self._checked_s = self._served_s = running_s()
        self._stopped = SignalEvent()

    def stop(self) -> None:
        """End the console because its process ends; from another thread or a signal handler."""
        self._stopped.set()
        self._hand.stop()

    @property
    def in_session(self) -> bool:
        """Whether a person is logged in, or a command runs."""
        return self._admission is not None or self._recording is not None

    def serve(self) -> None:
        """Serve the line until it closes. Raises nothing that a person at the cable could cause."""
        try:
            self._hand.greet()
            self._banner()
            while True:
                try:
                    self._once()
                except SessionEndedError as end:
                    self._close(end.reason)
                    self._hand.say("bye" if end.reason == "exit" else str(end))
                    if not self._stays or end.reason in {"reboot", "reset", "stopped", "reader starts"}:
                        return
                    self._banner()
        except LineGoneError:
            self._close("cable pulled")
        finally:
            self._close("console failed")  # does nothing if the session has already ended

    def _banner(self) -> None:
        identity = self._unit.identity()
        state = "enrolled" if identity.enrolled else "not enrolled"
        self._hand.say(
            "", f"ALPR reader {identity.shown}, {state}.", "Maintenance console; everything is recorded."
        )
        if self._notice:
            self._hand.say(*self._notice.splitlines())
        if identity.enrolled:
            self._hand.say("type login; before you pull the cable, type exit")
        else:
            self._hand.say("Open without a login: enroll, aim, selftest, network.")
            if not identity.empty:
                self._hand.say("This unit holds reads from before its enrollment; enroll destroys them.")

    def _once(self) -> None:
        self._completed = self._offered()  # once per line, so that a flood of tabs does not query the unit
        event = self._hand.next_line(self._prompt())
        if isinstance(event, Spoiled):
            self._hand.say("noise on the line: nothing was done, type it again")
        if isinstance(event, Line):
            self._served_s = self._running_s()
            self._typed(event.text)
            self._served_s = self._running_s()
            a_stranger = self._admission is None and "login" in self._completed
            self._hand.rest(self._pace_s * (STRANGER_PACES if a_stranger else 1))

    def _prompt(self) -> str:
        person = f" {self._admission.grant.person}" if self._admission else ""
        return f"{self._unit.identity().name[:NAME_LIMIT]}{person}> "

    # -- who may do what

    def _offered(self) -> tuple[str, ...]:
        """The commands that are available now, in the order of help."""
        if self._admission is not None:
            named = set(self._admission.grant.commands)
            return tuple(name for name, form in FORMS.items() if form.granted in named or name in _ALWAYS)
        if self._unit.identity().enrolled:
            return (*(("time",) if self._setter() else ()), "login", *_ALWAYS)
        return tuple(name for name, form in FORMS.items() if form.before_enrollment)

    def _setter(self) -> Grant | None:
        """The grant whose holder may set the clock now, because only the clock blocked the login."""
        if self._running_s() > self._clock_until_s:
            self._clock_setter = None
        return self._clock_setter

    def _check_session(self) -> None:
        """Raise SessionEndedError if the time is over, the grant revoked, the session idle, or we stop."""
        now_s = self._running_s()
        if self._stopped.is_set():
            raise SessionEndedError("stopped", "the reader is stopping: press return in a moment")
        since_s = self._door.answering_since_s
        if since_s is not None and now_s - max(since_s, self._served_s) > LIFE_S:
            raise LoginRefusedError(TOO_LATE)
        at_work = self._recording is not None and not self._hand.asking
        if self._admission is None:
            self._check_stranger(now_s, busy=at_work or since_s is not None)
            return
        if now_s >= self._admission.until_s:
            raise SessionEndedError("time over", "the session time is up: log in again")
        if not at_work and now_s - self._hand.typed_s >= IDLE_S:
            raise SessionEndedError("idle", "locked after inactivity: log in again")
        if now_s - self._checked_s >= LOOK_EVERY_S:
            self._check_revocation()

    def _check_stranger(self, now_s: float, *, busy: bool) -> None:
        """Raise SessionEndedError if the visit of a person without a login must end."""
        joining = self._recording is not None and self._recording.line.startswith("enroll")
        if not joining and self._wanted():
            raise SessionEndedError("reader starts", "the reader is starting: press return to continue in it")
        if self._recording is not None and not joining and now_s - self._checked_s >= LOOK_EVERY_S:
            self._checked_s = now_s
            name = self._recording.line.partition(" ")[0]
            if name not in self._offered():  # another console has enrolled the unit
                raise SessionEndedError("enrolled", "another console enrolled this unit: log in")
        if not busy and not self._stays and now_s - self._served_s >= STRANGER_S:
            raise SessionEndedError("idle", "disconnected: no login")

    def _check_revocation(self) -> None:
        now_s = self._running_s()
        since_s, self._checked_s = now_s - self._checked_s, now_s
        if self._admission is None:
            return
        if self._admission.counted:
            self._use.charge(self._admission.grant.grant_id, max(0.0, since_s))
        try:
            revoked = self._unit.revoked()
        except (ExplainedError, OSError) as error:
            raise SessionEndedError("revocation unknown", screen_error(error)) from None
        if self._admission.names & revoked:
            raise SessionEndedError("revoked", "this grant was revoked")

    def _typed(self, text: str) -> None:
        try:
            command = parse(text)
            if command is None:
                return
            if command.form.name not in self._offered():
                raise LineRefusedError(self._why_not(command.form.name))
        except ConsoleError as error:
            self._refuse(recorded_form(text), str(error))
            return
        if command.form.name == "exit":
            raise SessionEndedError("exit", "bye")
        if command.form.name == "login":
            self._login()
        else:
            self._carry_out(command)

    def _why_not(self, name: str) -> str:
        open_here = ", ".join(self._offered())
        if self._admission is not None:
            why = "your grant does not name it"
        elif self._unit.identity().enrolled:
            why = "log in first"
        else:
            why = "it needs a department: enroll first"
        return f"{name} is not available: {why}; available: {open_here}"

    def _refuse(self, recorded: str, reason: str) -> None:
        if self._admission is not None and not self._written(
            lambda: self._session.end(self._session.begin(recorded, live=False), "refused")
        ):
            return
        self._hand.say(reason)

    # -- login and logout

    def _login(self) -> None:
        try:
            self._admission = self._door.let_in()
        except SessionEndedError:
            raise
        except ClockLoginError as error:
            self._hand.say(f"{screen_error(error)}")
            if self._unit.time_us()[0] > error.grant.to_us:  # no time within it can be set any longer
                return
            self._clock_setter, self._clock_until_s = error.grant, self._running_s() + LIFE_S
            self._hand.say(
                f"the grant of {error.grant.person} is good otherwise: set this unit's clock with",
                "time YYYY-MM-DDTHH:MM:SSZ  (UTC), then log in again",
            )
            return
        except ConsoleError as error:
            self._hand.say(screen_error(error))
            return
        if self._admission is None:
            return
        grant = self._admission.grant
        self._session = self._fresh_session()
        if not self._written(lambda: self._session.opened(f"{grant.purpose}; {grant.work_order}")):
            self._admission = None
            return
        self._door.succeeded()
        self._hand.forget()
        self._checked_s = self._running_s()
        left_min = (self._admission.until_s - self._running_s()) / 60
        self._hand.say(f"welcome {grant.person} ({grant.role}, {grant.organisation}): {grant.purpose}")
        if self._admission.counted:
            self._use.charge(grant.grant_id, 0.0)  # from here on, use is written ahead
            self._hand.say("this unit's clock is not set: the grant's length counts in running time")
        self._hand.say(
            f"work order {grant.work_order}; this session lasts {left_min:.0f} min at most",
            "type help; before you pull the cable, type exit",
        )

    def _record_refused(self, reason: str) -> None:
        self._written(lambda: self._fresh_session().refused(reason))

    def _fresh_session(self) -> SessionLog:
        grant = self._admission.grant if self._admission else self._clock_setter
        return SessionLog(self._log, lambda: self._unit.time_us()[0], grant, self._use.kept_output)

    def _close(self, reason: str) -> None:
        if self._recording is not None:
            recording, self._recording = self._recording, None
            with suppress(Exception):  # a shutdown may have closed the log
                self._session.end(recording, reason)
        if self._admission is not None:
            if self._admission.counted:
                spent_s = max(0.0, self._running_s() - self._checked_s)
                self._use.charge(self._admission.grant.grant_id, spent_s, at_end=True)
            self._admission = None
            with suppress(Exception):  # the next start finds the open session in the log
                self._session.closed(reason)
        self._clock_setter = None
        self._hand.forget()
        self._session = self._fresh_session()

    # -- commands

    def _written(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except (StorageError, OSError) as error:
            self._hand.say(f"cannot be recorded, so it does not run: {screen_error(error)}")
            return False
        return True

    def _carry_out(self, command: Command) -> None:
        self._check_revocation()
        name = command.form.name
        if self._admission is None:  # the record names only the person who set the clock
            self._session = self._fresh_session()
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
        except Exception as error:  # noqa: BLE001 - any error of a part ends the command, not the session
            result = f"failed: {type(error).__name__}"
            text = "".join(f"{row}\r\n" for row in fitted(screen_error(error))).encode()
            recording.take(text)
            self._hand.write(text)
        self._recording, self._hand.typed_s = None, self._running_s()
        if name == "factory-reset" and result == "done":
            raise SessionEndedError("reset", "the unit is empty and restarting")
        try:
            self._session.end(recording, result)
        except (StorageError, OSError) as error:
            why = f"{name} ran, but its end cannot be recorded: {screen_error(error)}"
            raise SessionEndedError("not recorded", why) from None
        if name == "reboot" and result == "done":
            raise SessionEndedError("reboot", "the unit restarts")

    def _show(self, command: Command, recording: Recording) -> None:
        setter = None if self._admission else self._clock_setter
        context = Context(
            unit=self._unit,
            grant=self._admission.grant if self._admission else None,
            offered=self._offered(),
            ask_secret=lambda prompt: self._hand.ask(prompt, secret=True),
            ask=lambda prompt: self._hand.ask(prompt, secret=False),
            key_pressed=self._hand.key_pressed,
            running_s=self._running_s,
            clock_within=None if setter is None else (max(setter.from_us, setter.issued_us), setter.to_us),
        )
        # Commands that must not stop halfway run to the end even if the line is gone.
        to_the_end = command.form.name in {"factory-reset", "update"} and bool(command.words)
        gone: LineGoneError | None = None
        lines = carry_out(command, context)
        try:
            for line in lines:
                data = f"{line}\r\n".encode()
                recording.take(data)
                try:
                    if gone is None:
                        self._hand.write(data)
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
        if not live and self._hand.interrupted():
            raise UnitRefusedError("interrupted")
