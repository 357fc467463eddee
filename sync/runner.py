"""The uplink over time: when to sync, how often to retry, and how the last attempts ended.

`attempt` runs one conversation and records its outcome. `run` does so by the schedule until it is stopped, in
a thread of the reader's process. A refused log is an incident: it is written into the log and reported, so
that a new log can be opened; reading continues meanwhile. The same goes for a log whose own time is far ahead
of its department's, once everything was sent, and for one with a damaged page, which a start does not read:
the department would ask for that page again and again, and everything after it would wait.

Status and events cover only what the schedule or a person started. What an alert started leaves no trace in
either. A technician can see both, and would learn when a wanted vehicle passed, or, by driving a plate past,
whether it is on a list.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from storage.damage import settled
from storage.database import naming_damage
from storage.errors import DamagedError, StorageError
from storage.home import Home
from storage.times import DAY_US, now_us
from sync import messages
from sync import schedule as when
from sync.closed_delivery import ClosedDelivery, Delivered
from sync.destruction import send_kept
from sync.enrollment import open_link, renew_if_due, take_renewed
from sync.errors import BatchRefusedError, LinkError, NotEnrolledError, RefusedByDepartmentError
from sync.health import HealthMessage
from sync.ledger_outbox import LedgerOutbox
from sync.membership import Member, SyncFolder, success_by_running_time
from sync.parcel_size import ParcelSize
from sync.rollover import registration
from sync.schedule import Conditions, Go, Past, Schedule
from sync.transport import HttpsLink
from sync.uplink import Conversation, SyncProgress

log_events = structlog.get_logger("uplink")
LOOK_S = 1.0
WELL = frozenset({"done", "paused", "bad-records"})  # outcomes without a back-off


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one attempt ended. `outcome`: done, paused, bad-records, link, refused, log-refused, log-damaged,
    error.

    gives_way: why this log must be replaced by a new one; empty if it need not be. for_alert: an alert
    started it, and nothing that a technician sees may show it.
    """

    outcome: str
    what: str
    progress: SyncProgress
    gives_way: str = ""
    for_alert: bool = False

    @property
    def reached(self) -> bool:
        """Whether the department was reached by the schedule, even if not everything was sent."""
        return self.progress.done or (self.outcome == "paused" and not self.for_alert)


def _ended(progress: SyncProgress, handed: Delivered) -> tuple[str, str]:
    """Outcome and description of a conversation that ended normally."""
    if progress.bad or handed.bad:
        return "bad-records", f"{progress.bad + handed.bad} sealed parts were refused"
    if not progress.done:
        return "paused", "stopped before everything was sent"
    purged, over = progress.purged, progress.unopenable + handed.unopenable
    said = [f"{purged} sealed parts were purged here before they could be sent"] if purged else []
    if over:
        said.append(f"the department has no key for {over} sealed parts: destroyed after its year, or lost")
    if handed.paused:  # this log is delivered, so nothing is late; the alarm of the closed log stays
        said.append("a closed log waits in part for the next sync")
    return "done", "; ".join(said)


def _until_no(may_continue: Callable[[], bool]) -> Callable[[], bool]:
    """Wraps `may_continue` so that its first no is final, and what was skipped then is not sent later."""
    said_no = False

    def ask() -> bool:
        nonlocal said_no
        said_no = said_no or not may_continue()
        return not said_no

    return ask


class Runner:
    """The uplink of one enrolled unit."""

    def __init__(
        self,
        outbox: LedgerOutbox,
        folder: SyncFolder,
        schedule: Schedule,
        *,
        now_us: Callable[[], int] = now_us,
        conditions: Callable[[], Conditions] = Conditions,
        on_gives_way: Callable[[str], None] | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
        health: Callable[[], HealthMessage | None] = lambda: None,
    ) -> None:
        self._outbox, self._folder, self._schedule = outbox, folder, schedule
        self._now_us, self._conditions, self._on_gives_way = now_us, conditions, on_gives_way
        self._on_attempt, self._health = on_attempt, health
        self._link: HttpsLink | None = None
        self._hits_to = outbox.received_to()
        self._nudge = threading.Event()
        self._wake = threading.Event()
        status = folder.status()
        self._parcel_size = ParcelSize.of(status.get("parcel_bytes"))
        self._failures = int(status.get("failures", 0))
        self._tried_us = int(status.get("tried_us", 0))
        self._alert_tried_us, self._alert_failures = 0, 0
        self._refusal_noted = status.get("outcome") == "log-refused"
        self._metered = (int(status.get("metered_day", 0)), int(status.get("metered_bytes", 0)))
        self._counted = 0  # bytes of the current conversation that were counted
        self._draw = when.draw()

    def nudge(self) -> None:
        """Sync now, regardless of the window, because an alert was raised."""
        self._nudge.set()
        self._wake.set()

    def hang_up(self) -> None:
        """Cut the current conversation from another thread; what was on its way is sent again.

        A caller that sets the `stop` of `run` also calls this, so that `run` notices at once.
        """
        self._wake.set()
        link = self._link
        if link is not None:
            link.hang_up()

    def attempt(
        self,
        *,
        alerts_only: bool = False,
        for_alert: bool = False,
        may_continue: Callable[[], bool] = lambda: True,
    ) -> Attempt:
        """Hold one conversation. Of link and department errors, raises only NotEnrolledError.

        for_alert: an alert started it, so it is not recorded in the status.
        """
        member = self._folder.member()
        started = self._now_us()
        may_continue, self._counted = _until_no(may_continue), 0
        link = self._link = open_link(
            self._folder,
            member,
            passed_us=self._outbox.passed_us(),
            bytes_per_s=self._schedule.bytes_per_s,
        )
        conversation = Conversation(
            self._outbox,
            link,
            member.department_public(),
            self._parcel_size,
            self._now_us,
            health=self._health,
        )
        try:
            outcome, what, gives_way = self._outcome(
                conversation, link, member, may_continue, alerts_only=alerts_only
            )
        finally:
            self._link = None
            link.close()
        made = Attempt(
            outcome=outcome,
            what=what,
            progress=conversation.progress,
            gives_way=gives_way,
            for_alert=for_alert and not gives_way,
        )
        self._refusal_noted = outcome == "log-refused"
        self._count_metered(link.sent_bytes)
        self._folder.save_status(metered_day=self._metered[0], metered_bytes=self._metered[1])
        if made.for_alert:
            self._alert_tried_us = started
            self._alert_failures = 0 if outcome in WELL else self._alert_failures + 1
        else:
            self._account(made, started)
        if gives_way and self._on_gives_way is not None:
            self._on_gives_way(gives_way)
        if self._on_attempt is not None:
            self._on_attempt(made)
        return made

    def _outcome(
        self,
        conversation: Conversation,
        link: HttpsLink,
        member: Member,
        may_continue: Callable[[], bool],
        *,
        alerts_only: bool,
    ) -> tuple[str, str, str]:
        """Hold the conversation; returns (outcome, description, why this log must be replaced or "").

        Never raises for the link or the department.
        """
        try:
            with naming_damage(Home(self._folder.path.parent).database):
                handed = self._converse(conversation, link, member, may_continue, alerts_only=alerts_only)
                gives_way = ""
                if _ended(conversation.progress, handed)[0] == "done":
                    gives_way = self._ends_by_time(conversation, may_continue)
                outcome, what = _ended(conversation.progress, handed)
                return outcome, f"{gives_way}: a new log takes its place" if gives_way else what, gives_way
        except LinkError as error:
            # in TLS 1.3 an expired certificate looks like no answer: the alert comes after the handshake
            ended = self._ended_certificate()
            return "link", f"{ended}; {error}" if ended else str(error), ""
        except BatchRefusedError as error:
            what = f"{error.code}: {error.what}"
            if not self._refusal_noted:  # otherwise it is already in the log
                self._outbox.note_incident("log-refused", what)
            with contextlib.suppress(LinkError, RefusedByDepartmentError, StorageError):
                conversation.deliver(may_continue)
            return "log-refused", what, what
        except RefusedByDepartmentError as error:
            return "refused", f"{error.code}: {error.what}", ""
        except DamagedError as error:
            shown = settled(error)
            what = str(shown)
            return ("log-damaged", what, what) if shown is error else ("error", what, "")
        except StorageError as error:
            return "error", str(error), ""

    def _converse(
        self,
        conversation: Conversation,
        link: HttpsLink,
        member: Member,
        may_continue: Callable[[], bool],
        *,
        alerts_only: bool,
    ) -> Delivered:
        """Deliver this log, then the closed ones. Raises as both do."""
        renew_if_due(self._folder, member, link, self._outbox.log_public, self._likely_us())
        try:
            conversation.run(alerts_only=alerts_only, may_continue=may_continue)
        except RefusedByDepartmentError as error:
            if error.code != "unknown-log":
                raise
            self._register(link, member)
            conversation.run(alerts_only=alerts_only, may_continue=may_continue)
        return self._hand_over(conversation, link, member, may_continue)

    def _likely_us(self) -> int:
        """The time for renewing a certificate: the department's last known time, else the clock's."""
        return self._outbox.department_us() or self._outbox.passed_us() or self._now_us()

    def _ended_certificate(self) -> str:
        """See SyncFolder.ended_certificate. The last known time may be months old."""
        known_us = self._outbox.department_us()
        return self._folder.ended_certificate(
            past_us=known_us or self._outbox.passed_us(), clock_us=0 if known_us else self._now_us()
        )

    def _ends_by_time(self, conversation: Conversation, may_continue: Callable[[], bool]) -> str:
        """Why the department's time ends this log, checked by a record that it co-signs now; or ""."""
        question = self._outbox.question_time()
        if question is None:
            return ""
        sent_all = conversation.run(may_continue=may_continue).done
        return self._outbox.end_by_answer(question) if sent_all else ""

    def _hand_over(
        self, conversation: Conversation, link: HttpsLink, member: Member, may_continue: Callable[[], bool]
    ) -> Delivered:
        """Deliver the closed logs, once all of this one is delivered. Raises LinkError."""
        if not conversation.progress.done:
            return Delivered()
        send_kept(self._folder.path.parent, link, member.department_public(), may_continue)
        delivery = ClosedDelivery(
            self._outbox, link, member.department_public(), parcel_bytes=self._parcel_size.size
        )
        try:
            return delivery.run(self._folder, may_continue)
        except RefusedByDepartmentError as error:  # the alarm stays
            log_events.warning("closed_log_refused", what=f"{error.code}: {error.what}")
            return Delivered()
        finally:
            conversation.progress.sent_bytes = link.sent_bytes

    def _register(self, link: HttpsLink, member: Member) -> None:
        """Announce a log that replaces another to the department."""
        previous, reason = self._outbox.opened_because()
        message = registration(
            self._outbox, self._folder, self._folder.unit_key(), previous=previous, reason=reason
        )
        answer = messages.open_answer(
            messages.Renewed, link.post("new-log", [message]), member.department_public()
        )
        take_renewed(self._folder, member, answer)
        log_events.info("new_log_registered", reason=reason)

    def _count_metered(self, sent_bytes: int) -> None:
        """Count what was sent since the last call to the present day, if the present network is metered."""
        since, self._counted = sent_bytes - self._counted, sent_bytes
        day = self._now_us() // DAY_US
        used = self._metered[1] if self._metered[0] == day else 0
        self._metered = (day, used + (since if self._conditions().metered else 0))

    def _account(self, made: Attempt, started: int) -> None:
        progress = made.progress
        self._failures = 0 if made.outcome in WELL else self._failures + 1
        self._alert_failures = 0 if made.outcome in WELL else self._alert_failures
        if made.outcome != "paused":  # it continues as soon as the cause of the pause is over
            self._tried_us = started
        self._draw = when.draw()
        unreceived, newer = self._outbox.left()
        facts: dict[str, object] = {
            "tried_us": started,
            "ended_us": self._now_us(),
            "outcome": made.outcome,
            "what": made.what,
            "failures": self._failures,
            "leaves": progress.leaves,
            "elements": progress.elements,
            "alerts": progress.alerts,
            "sent_bytes": progress.sent_bytes,
            "cosigned_size": self._outbox.anchored_size(),
            "received_to": self._outbox.received_to(),
            "left_unreceived": unreceived,
            "left_newer": newer,
            "parcel_bytes": self._parcel_size.size,
        }
        if made.outcome == "done":
            facts |= {"succeeded_us": self._now_us(), **success_by_running_time()}
        self._folder.save_status(**facts)
        why = {} if made.outcome == "done" else {"what": made.what[:300]}
        log_events.info("attempt", outcome=made.outcome, **why)

    def save_failure(self, what: str) -> None:
        """Write into the status that an attempt ended before it could begin: a person may wait for it.

        It counts as a failure, so that the next start retries soon, and does not wait for a whole interval.
        """
        now_us = self._now_us()
        self._folder.save_status(
            tried_us=now_us, ended_us=now_us, outcome="error", what=what, failures=max(self._failures, 1)
        )

    def _past(self) -> Past:
        now_us = self._now_us()
        self._tried_us = min(self._tried_us, now_us)  # so that a clock that was set back causes no wait
        self._alert_tried_us = min(self._alert_tried_us, now_us)
        today = now_us // DAY_US
        used = self._metered[1] if self._metered[0] == today else 0
        return Past(
            tried_us=self._tried_us,
            failures=self._failures,
            alert_tried_us=self._alert_tried_us,
            alert_failures=self._alert_failures,
            metered_bytes_today=used,
            jitter_draw=self._draw,
        )

    def run(self, stop: threading.Event) -> None:
        """Sync by the schedule until `stop` is set.

        Raises whatever ends an attempt that no alert started, except NotEnrolledError.
        """
        while not stop.is_set():
            asked = self._asked()
            alert = self._nudge.is_set() or self._hit_waits()
            decision = when.decide(
                self._schedule,
                self._conditions(),
                self._past(),
                now_us=self._now_us(),
                day_us=self._outbox.department_us(),
                alert=alert,
            )
            if asked or isinstance(decision, Go):
                self._nudge.clear()
                go = Go() if asked or not isinstance(decision, Go) else decision
                outcome = "link"  # also if the attempt cannot begin, as while the chip does not answer
                try:
                    outcome = self.attempt(
                        alerts_only=go.alerts_only,
                        for_alert=go.for_alert,
                        may_continue=partial(self._may_send, stop, asked=asked),
                    ).outcome
                except Exception as error:
                    if go.for_alert:  # without a trace: the next one of the schedule reports it
                        self._alert_tried_us = self._now_us()
                        self._alert_failures += 1
                    elif isinstance(error, NotEnrolledError):
                        log_events.warning("not_enrolled", what=str(error))
                        self.save_failure(str(error))
                        stop.wait(60 * LOOK_S)
                    else:
                        raise
                finally:
                    if alert and outcome == "link":
                        self._nudge.set()  # after the back-off, whatever the window says
            else:
                self._folder.save_status(next_us=decision.until_us, waiting_for=decision.why)
            self._wake.wait(LOOK_S)
            self._wake.clear()

    def _may_send(self, stop: threading.Event, *, asked: bool) -> bool:
        """Whether the current conversation may send more.

        Unless a person asked for it, whatever would keep it from starting also ends it.
        """
        if self._link is not None:
            self._count_metered(self._link.sent_bytes)
        if stop.is_set() or asked:
            return not stop.is_set()
        day_us = self._outbox.department_us()
        closed = when.closed_by(self._schedule, self._conditions(), self._past(), self._now_us(), day_us)
        return closed is None

    def _hit_waits(self) -> bool:
        """Whether a hit was stored since the last call; it is tried at once, but only once."""
        hits = self._outbox.hits_from(self._hits_to)
        if hits:
            self._hits_to = hits[-1] + 1
            self._nudge.set()
        return bool(hits)

    def _asked(self) -> bool:
        """Whether `reader sync now` asked for a conversation; clears the request."""
        try:
            self._folder.wanted.unlink()
        except OSError:  # there is no request, or it is a folder, or the folder is unreadable
            return False
        return True
