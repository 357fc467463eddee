"""One conversation of a unit with its department: alerts, health, leaves, elements, receipt, documents.

Resumable at every point: the unit first asks what the department holds, a message that was sent twice is
taken once, and a cut connection costs at most the parcel on its way. Content leaves the unit's custody only
by the department's receipt, which the ledger logs; its purge follows the ledger's own rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import leaf as leaves
from storage.errors import CardFailedError, ForkedLogError, KeyLostError, LedgerError, ShutError, StorageError
from storage.read_records import Alert
from sync import messages, parcels
from sync.errors import BatchRefusedError, LinkError, NotStoredError, RefusedByDepartmentError
from sync.health import LATER_ALARMS, HealthHeld, HealthMessage
from sync.link import Link
from sync.outbox import Outbox
from sync.parcel_size import FIRST_PARCEL, LEAST_PARCEL, ParcelSize
from sync.pieces import PieceHeader, PieceHeld

log_events = structlog.get_logger("uplink")
SOFTWARE = "alpr-reader"
LEAVES_AT_ONCE = 1024
HIT_LEAVES_AT_ONCE = 64
ALERTS_AT_ONCE = 64
HITS_LOOKED_AT = 512  # the newest
UNREADABLE = b"\0"  # never the bytes of an element
NEAR = 200  # records: a backlog this short is sent as fast as a single alert


@dataclass(slots=True, kw_only=True)
class SyncProgress:
    """What one conversation has done so far."""

    leaves: int = 0
    elements: int = 0
    alerts: int = 0
    sent_bytes: int = 0
    bad: int = 0
    purged: int = 0  # elements that this unit purged before they could be sent
    unopenable: int = 0  # elements under a day key that the department no longer has
    received: tuple[tuple[int, int], ...] = ()
    documents: tuple[str, ...] = ()
    cosigned_size: int = 0
    done: bool = False


@dataclass(slots=True)
class _Parcel:
    """A parcel while it is filled."""

    keys: list[messages.SealedKey] = field(default_factory=list)
    items: list[messages.ParcelElement] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    in_pieces: bool = False


class Conversation:
    """Runs one conversation over one link. Not thread-safe."""

    def __init__(
        self,
        outbox: Outbox,
        link: Link,
        department: Ed25519PublicKey,
        parcel_size: ParcelSize,
        now_us: Callable[[], int],
        *,
        health: Callable[[], HealthMessage | None] = lambda: None,
    ) -> None:
        self._outbox, self._link, self._department = outbox, link, department
        self._parcel_size, self._now_us, self._health = parcel_size, now_us, health
        self.progress = SyncProgress()
        self._sent_keys: set[int] = set()
        self._purged: set[tuple[int, str]] = set()  # elements found to be purged here
        self._resent_from: int | None = None
        self._shut_epochs: set[int] = set()
        self._asked_again = frozenset[int]()  # records with something that was refused before
        self._alerts_to = 0  # alerts before this record are reported
        self._unstored: NotStoredError | None = None  # an alert that had to wait; nothing else does
        self._unstored_epochs: set[int] = set()
        self._joined_at: int | None = None  # the record of the unit's joining, if not yet delivered

    def run(
        self, *, alerts_only: bool = False, may_continue: Callable[[], bool] = lambda: True
    ) -> SyncProgress:
        """Sync until everything is delivered. Raises LinkError, RefusedByDepartmentError, StorageError.

        `may_continue` is called between messages; when it returns False, the rest waits for the next time.
        """
        try:
            state = self._hello()
            try:
                self._alerts(state, near=0 if alerts_only else NEAR)
                if not alerts_only:
                    self._send_health()
                    state_size = self._leaves(state, may_continue)
                    self._elements(state, state_size, may_continue)
            except NotStoredError:
                if not alerts_only:  # it may be waiting for new day keys
                    self._take(state, may_continue)
                raise
            if not alerts_only:
                self._take(state, may_continue)
            if self._unstored is not None:
                raise self._unstored
            self.progress.done = not alerts_only and may_continue()
        except LinkError:
            self._parcel_size.was_cut()
            raise
        finally:
            self.progress.sent_bytes = self._link.sent_bytes
        return self.progress

    def deliver(self, may_continue: Callable[[], bool] = lambda: True) -> SyncProgress:
        """For a refused log: send the content of the records that are held, and fetch the receipt."""
        state = self._hello()
        self._elements(state, min(state.size, self._outbox.size()), may_continue)
        self._receipt()
        self.progress.sent_bytes = self._link.sent_bytes
        return self.progress

    # --- one message and its answer -----------------------------------------------------------------------

    def _ask(self, path: str, message: messages.Message, answer: type[messages.M]) -> messages.M:
        return self._open(answer, self._link.post(path, [messages.seal_message(message, self._outbox.sign)]))

    def _open(self, kind: type[messages.M], data: bytes) -> messages.M:
        opened = messages.open_answer(kind, data, self._department)
        if getattr(opened, "log_id", self._outbox.log_id) != self._outbox.log_id:
            raise LinkError("an answer about another log")
        return opened

    def _hello(self) -> messages.State:
        nonce = self._link.post("challenge", [b""])
        if len(nonce) != messages.NONCE_BYTES:
            raise LinkError("a challenge of the wrong length")
        held, size = self._outbox.anchored_size(), self._outbox.size()
        head = self._outbox.head()
        proof = self._outbox.consistency(held, size) if 0 < held <= size else []
        hello = messages.Hello(
            log_id=self._outbox.log_id,
            nonce=nonce,
            at_us=self._now_us(),
            checkpoint=head,
            proof=tuple(proof),
            held=held,
            software=SOFTWARE,
        )
        state = self._ask("hello", hello, messages.State)
        if state.nonce != nonce:
            raise LinkError("a state that answers another hello")
        if state.cosigned is not None and state.size > held:
            try:
                self._outbox.take_cosigned(state.cosigned)
            except ForkedLogError as error:
                self._show_fork(state, error)
        return state

    def _show_fork(self, state: messages.State, error: ForkedLogError) -> None:
        """Show the department a log whose past contradicts its co-signature: an incident there too."""
        self._leaves(state, lambda: True)
        raise BatchRefusedError(error.what, code="fork", held=state.size)

    # --- leaves -------------------------------------------------------------------------------------------

    def _leaves(self, state: messages.State, may_continue: Callable[[], bool]) -> int:
        """Send the missing leaves; returns the size that the department then holds."""
        held = state.size
        while may_continue():
            self._send_new_alerts()
            size, head = self._outbox.size(), self._outbox.head()
            if held >= size:
                break
            batch = self._cut_leaves(held, min(LEAVES_AT_ONCE, size - held))
            end = held + len(batch)
            message = messages.LeafBatch(
                log_id=self._outbox.log_id,
                first=held,
                leaves=tuple(batch),
                checkpoint=head,
                proof=tuple(self._outbox.consistency(end, size)) if end < size else (),
            )
            answer = self._ask("leaves", message, messages.LeavesHeld)
            if answer.size < end:
                raise LinkError(f"{answer.size} records are held, but {end} were sent")
            self.progress.leaves += answer.size - held
            held = answer.size
            if answer.cosigned is not None:
                self._outbox.take_cosigned(answer.cosigned)
                self.progress.cosigned_size = held
        return held

    def _cut_leaves(self, first: int, count: int) -> list[bytes]:
        found: list[bytes] = []
        total = 0
        for data in self._outbox.leaves(first, count):
            total += len(data) + 8
            if found and total > max(
                LEAST_PARCEL, min(self._parcel_size.size, messages.MAX_LEAVES_BYTES // 2)
            ):
                break
            found.append(data)
        return found

    # --- elements -----------------------------------------------------------------------------------------

    def _elements(self, state: messages.State, size: int, may_continue: Callable[[], bool]) -> None:
        again = sorted(number for number in state.again if number < min(size, state.complete_to))
        self._asked_again = frozenset(state.again)
        self._resent_from = again[0] if again else None
        waiting: deque[tuple[_Parcel, Future[bytes]]] = deque()
        with ThreadPoolExecutor(self._link.depth, "parcel") as threads:
            for numbers in (iter(again), iter(range(state.complete_to, size))):
                for parcel in self._parcels(numbers):
                    if not may_continue():
                        break
                    self._send_new_alerts()
                    while len(waiting) >= (1 if parcel.in_pieces else self._depth()):
                        self._taken(*waiting.popleft())
                    if parcel.in_pieces:
                        self._in_pieces(parcel, may_continue)
                        continue
                    pieces = self._framed(parcel)
                    waiting.append((parcel, threads.submit(self._link.post, "parcel", pieces)))
            while waiting:
                self._taken(*waiting.popleft())

    def _depth(self) -> int:
        """How many parcels may be on their way: one on a bad link, so that a cut costs no more."""
        return self._link.depth if self._parcel_size.size >= FIRST_PARCEL else 1

    def _taken(self, parcel: _Parcel, answer: Future[bytes]) -> None:
        """Wait for the answer to a parcel and process it."""
        self._note(parcel, self._open(messages.ParcelHeld, answer.result()))

    def _parcels(self, numbers: Iterator[int]) -> Iterator[_Parcel]:
        """Fill parcels, record by record, up to the size that the link can carry."""
        parcel = _Parcel()
        for data in self._leaves_of(numbers):
            leaf = leaves.unchecked(data)
            stored_of = {name: self._stored(leaf, name) for name in messages.traveling(leaf)}
            if None in stored_of.values() and leaf.sequence in self._asked_again:
                continue  # still unreadable: another answer would use up one of the department's tries
            for name, given in stored_of.items():
                stored = UNREADABLE if given is None else given
                full = parcel.size + len(stored) > self._parcel_size.size
                if parcel.items and (full or len(parcel.items) >= messages.MAX_ITEMS):
                    yield parcel
                    parcel = _Parcel()
                self._add_key(parcel, leaf)
                one = messages.ParcelElement(sequence=leaf.sequence, name=name, length=len(stored))
                parcel.items.append(one)
                parcel.parts.append(stored)
                parcel.size += len(stored)
                if parcel.size > self._parcel_size.size < FIRST_PARCEL:  # the connection was cut by less
                    parcel.in_pieces = True
                    yield parcel
                    parcel = _Parcel()
        if parcel.items:
            yield parcel

    def _in_pieces(self, parcel: _Parcel, may_continue: Callable[[], bool]) -> None:
        """Send one element in pieces of the size that the link can carry, from where it was cut."""
        stored = parcel.parts[0]
        answer = self._piece(parcel, 0, 0)
        while not answer.done and may_continue():
            end = min(len(stored), answer.held + self._parcel_size.size)
            before, answer = answer.held, self._piece(parcel, answer.held, end)
            if not before < answer.held <= end:
                raise LinkError(f"{answer.held} bytes are held, but {end} were sent")
            self._parcel_size.went_well()
        if answer.done:
            self._note(parcel, answer)

    def _piece(self, parcel: _Parcel, start: int, end: int) -> PieceHeld:
        (item,), (stored,) = parcel.items, parcel.parts
        header = PieceHeader(
            log_id=self._outbox.log_id,
            keys=tuple(parcel.keys),
            sequence=item.sequence,
            name=item.name,
            total=len(stored),
            offset=start,
            length=end - start,
        )
        pieces = parcels.frame_parcel(messages.seal_message(header, self._outbox.sign), [stored[start:end]])
        return self._open(PieceHeld, self._link.post("piece", pieces))

    def _leaves_of(self, numbers: Iterator[int]) -> Iterator[bytes]:
        """The leaves of these records; adjacent ones are read together."""
        run: list[int] = []
        for number in numbers:
            if run and (number != run[-1] + 1 or len(run) >= LEAVES_AT_ONCE):
                yield from self._outbox.leaves(run[0], len(run))
                run = []
            run.append(number)
        if run:
            yield from self._outbox.leaves(run[0], len(run))

    def _stored(self, leaf: leaves.Leaf, name: str) -> bytes | None:
        """The stored bytes; empty if they were purged, None if this user may not read them. A damaged blob is
        an incident but does not stop the sync. For one that the card does not give, or that this user may not
        read, UNREADABLE is sent; for the latter only once, since the department gives up after three."""
        try:
            return self._outbox.stored(leaf.sequence, name)
        except KeyLostError:  # the log has a record of the purge
            self._purged.add((leaf.sequence, name))
            return b""
        except ShutError as error:
            if leaf.epoch not in self._shut_epochs:  # one line per folder, not per image
                self._shut_epochs.add(leaf.epoch)
                log_events.warning("image_shut", record=leaf.sequence, name=name, why=error.what)
            return None
        except CardFailedError as error:
            log_events.warning("image_unreadable", record=leaf.sequence, name=name, why=error.what)
            return UNREADABLE
        except LedgerError as error:
            self._outbox.note_incident("content-lost", f"record {leaf.sequence}, {name}: {error.what}")
            return b""

    def _add_key(self, parcel: _Parcel, leaf: leaves.Leaf) -> None:
        """Add the key that a leaf needs, unless a parcel with it was answered: two may be on their way, and
        arrive in any order."""
        epoch = leaf.epoch
        if not epoch or epoch in self._sent_keys or any(key.epoch == epoch for key in parcel.keys):
            return
        key = self._outbox.key_for_department(epoch)
        if key is None:
            self._sent_keys.add(epoch)  # it is gone for good; there is no need to ask again
        else:
            parcel.keys.append(messages.SealedKey(epoch=key.epoch, day_key=key.day_key, sealed=key.sealed))

    def _framed(self, parcel: _Parcel, leaf: bytes | None = None) -> list[bytes]:
        header = messages.ParcelHeader(
            log_id=self._outbox.log_id, keys=tuple(parcel.keys), items=tuple(parcel.items), leaf=leaf
        )
        return parcels.frame_parcel(messages.seal_message(header, self._outbox.sign), parcel.parts)

    def _note(self, parcel: _Parcel, answer: messages.ParcelHeld | PieceHeld) -> None:
        self._parcel_size.went_well()
        self._sent_keys |= {key.epoch for key in parcel.keys}
        self.progress.elements += len(parcel.items) - len(answer.bad)
        purged = [one for one in answer.bad if one.final and (one.sequence, one.name) in self._purged]
        there = [one for one in answer.bad if one not in purged]
        bad, over = messages.part_keyless(there)
        self.progress.purged += len(purged)
        self.progress.unopenable += len(over)
        self.progress.bad += len(bad)
        for gone in (purged, over):
            for line in messages.summed_up(gone, final=True):
                log_events.info("records_gone_before_sent", what=line)
        for final in (False, True):
            for line in messages.summed_up(bad, final=final):
                log_events.warning("records_refused", what=line, final=final)
                if final:
                    self._outbox.note_incident("records-refused", line)

    # --- alerts, receipts, documents ----------------------------------------------------------------------

    def _alerts(self, state: messages.State, *, near: int) -> None:
        """Send alerts ahead of everything, and their hits too if they are at most `near` records away. Each
        goes with its leaf, the newest alert first, since people wait for that one."""
        hits = self._outbox.hits_from(state.complete_to)
        self._alerts_to = max(hits[-1] + 1 if hits else 0, state.complete_to)
        parsed = [(number, self._outbox.leaves(number, 1)[0]) for number in hits[-HITS_LOOKED_AT:]]
        raised = [one for one in parsed if leaves.unchecked(one[1]).kind == Alert.KIND]
        joined_at = self._outbox.joined_at()
        self._joined_at = joined_at if joined_at is not None and joined_at >= state.complete_to else None
        for number, data in reversed(raised[-ALERTS_AT_ONCE:]):
            self._send_alert(number, data)
        if self._outbox.size() - state.complete_to > near:
            raised_at = {number for number, _ in raised}
            for number in [one for one in hits if one not in raised_at][:HIT_LEAVES_AT_ONCE]:
                self._send_alert(number, *self._outbox.leaves(number, 1))

    def _send_new_alerts(self) -> None:
        """Send the alerts that were raised since this conversation began, without waiting for its end."""
        hits = self._outbox.hits_from(self._alerts_to)
        for number in hits:
            (data,) = self._outbox.leaves(number, 1)
            if leaves.unchecked(data).kind == Alert.KIND:
                self._send_alert(number, data)
        if hits:
            self._alerts_to = hits[-1] + 1

    def _send_alert(self, number: int, data: bytes) -> None:
        """Send a single record with its leaf and the key that it needs.

        If it cannot be stored now, for example because its key is lost at the department, it holds up neither
        the log nor alerts under other keys. The record of the unit's joining is sent once, before the first
        alert, but holds up no alert. By its place the department knows which alerts are older; until it has
        the record, it goes by the unit's clock.
        """
        epoch, first = leaves.unchecked(data).epoch, self._joined_at
        self._joined_at = None
        if first is not None:
            self._send_ahead(first, *self._outbox.leaves(first, 1))
        if epoch not in self._unstored_epochs and self._send_ahead(number, data):
            self.progress.alerts += 1
        else:
            self._unstored_epochs.add(epoch)

    def _send_ahead(self, number: int, data: bytes) -> bool:
        """Send a record ahead of its turn; returns whether it could be stored now."""
        sent, self._sent_keys = self._sent_keys, set()
        parcel = _Parcel()
        leaf = leaves.unchecked(data)
        for name in messages.traveling(leaf):
            stored = self._stored(leaf, name)
            if stored is None:
                continue  # it will be sent in its turn in the log
            self._add_key(parcel, leaf)
            parcel.items.append(messages.ParcelElement(sequence=number, name=name, length=len(stored)))
            parcel.parts.append(stored)
        if not parcel.items:
            return True
        try:
            answer = self._link.post("alert", self._framed(parcel, data))
            self._note(parcel, self._open(messages.ParcelHeld, answer))
        except NotStoredError as error:
            self._unstored = error
            return False
        finally:
            self._sent_keys = sent
        return True

    def _send_health(self) -> None:
        """Send the health report, ahead of a backlog that may take hours."""
        report = self._health()
        if report is None:
            return
        try:
            self._ask("health", report, HealthHeld)
        except RefusedByDepartmentError as error:
            known = tuple(one for one in report.alarms if one not in LATER_ALARMS)
            if error.code != "malformed" or known == report.alarms:
                raise
            self._ask("health", replace(report, alarms=known), HealthHeld)

    def _take(self, state: messages.State, may_continue: Callable[[], bool]) -> None:
        """Fetch the receipt and the documents that the department has for the unit."""
        self._receipt()
        self._documents(state, may_continue)

    def _receipt(self) -> None:
        """Ask for the receipt of what was sent and log it; from then on, the content may be purged."""
        first = self._outbox.received_to()
        if self._resent_from is not None:
            first = min(first, self._resent_from)
        if not self._outbox.content_between(first, 1 << 62):
            return
        wanted = messages.ReceiptWanted(log_id=self._outbox.log_id, first=first)
        data = self._link.post("receipt", [messages.seal_message(wanted, self._outbox.sign)])
        receipt = self._open(messages.Receipt, data)
        if receipt.ranges and self._outbox.content_between(receipt.ranges[0][0], receipt.ranges[-1][1] + 1):
            self._outbox.take_receipt(data)
            self.progress.received = receipt.ranges

    def _documents(self, state: messages.State, may_continue: Callable[[], bool]) -> None:
        for ref in state.documents:
            if ref.version <= self._outbox.document_version(ref.name) or not may_continue():
                continue
            if not self._outbox.wants_document(ref.name):
                continue
            try:
                self._outbox.take_document(ref.name, self._fetch(ref))
                self.progress.documents += (ref.name,)
            except (StorageError, RefusedByDepartmentError) as error:
                log_events.warning("document_refused", name=ref.name, why=str(error))
                self._outbox.note_incident("document-refused", f"{ref.name}: {type(error).__name__}")
            except OSError as error:  # the inbox is full or not writable: the next sync fetches it again
                why = error.strerror or type(error).__name__
                log_events.warning("document_not_kept", name=ref.name, file=error.filename, why=why)

    def _fetch(self, ref: messages.DocumentRef) -> bytes:
        data = bytearray()
        while True:
            wanted = messages.DocumentWanted(
                log_id=self._outbox.log_id, name=ref.name, document_version=ref.version, offset=len(data)
            )
            part = self._ask("document", wanted, messages.DocumentPart)
            if part.offset != len(data) or not (part.data or part.total == len(data)):
                raise LinkError("a piece of a document that does not follow")
            data += part.data
            if len(data) >= part.total:
                return bytes(data)
