"""The only way to content: proves the person, checks the permission, logs the request, and then opens.

Requests and answers are plain CBOR maps, so a client on the socket sees the same behavior as the process that
holds the home. A refusal is logged before the person sees it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from storage import access, audit, codec, evidence, holds, purge, search
from storage.audit_records import Export, UnitAccess, UnitAccessEnded
from storage.clock_trust import boottime_us
from storage.epochs import EpochFacts
from storage.errors import KeyLostError, RecordError, RefusedError, StorageError
from storage.leaf import IMAGES
from storage.ledger import Ledger
from storage.lockout import CJIS
from storage.plate_text import normal_plate
from storage.roster import RosterPerson
from storage.times import MINUTE_US, utc_text

T = TypeVar("T")
MAX_ANSWERS = 1000
MAX_IMAGES = 50


class Door:
    """Answers requests for one ledger."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        boot: Callable[[], int] = boottime_us,
    ) -> None:
        self._ledger, self._store, self._boot = ledger, ledger.store, boot
        self._nonces = access.Nonces()
        self._ops: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "challenge": self._challenge,
            "query": self._query,
            "audit": self._audit,
            "hold": self._hold,
            "release": self._release,
            "export": self._export,
            "plan": self._plan,
            "apply": self._apply,
            "status": self._status,
        }

    def answer(self, op: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises RefusedError and the room's other errors."""
        if op not in self._ops:
            raise RecordError("is not a known request", where=op[:40])
        return self._ops[op](body)

    # -- admission -------------------------------------------------------------------------------

    def _challenge(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"nonce": self._nonces.give(self._boot()), "log_id": self._store.log_id}

    def _admit(
        self,
        body: dict[str, Any],
        action: str,
        subject: str,
        demand: Callable[[RosterPerson], tuple[int, ...]] = lambda _person: (),
    ) -> tuple[RosterPerson, int]:
        """Prove and permit a person, with an entry in the log either way; returns the person and its number.

        subject: what is about to be done; it must equal what was signed. demand: further checks, made once
        the person is proven and permitted; the records that it returns go into the entry.
        """
        request = codec.from_plain(access.Request, body.get("request"))
        if request.action != action:
            raise RecordError("the signed request does not match", where="action")
        plain = body.get("proof")
        proof = None if plain is None else codec.from_plain(access.Proof, plain)
        store, roster = self._store, self._ledger.standing.roster
        with store.lock:
            moment = store.time.now()
            organisation = store.policy.organisation
            try:
                access.demand_here(request, store.policy, enrolled=store.enrolled)
                fresh = proof is not None and self._nonces.take(proof.nonce, self._boot())
                locked = CJIS.locked(self._failures(request.user, moment.us), moment.us)
                person = access.prove(roster, request, proof, log_id=store.log_id, fresh=fresh, locked=locked)
                organisation = person.organisation
                self._permit(person, request)
                if request.subject != subject:
                    raise RefusedError("the signed request is for something else", clause="463.5 (b)")
                records = demand(person)
            except StorageError as refusal:
                self._log(request, organisation, proof, str(refusal), ())
                raise
            return person, self._log(request, organisation, proof, None, records)

    def _permit(self, person: RosterPerson, request: access.Request) -> None:
        """Check that the person may do this now. Raises RefusedError."""
        time, policy = self._store.time, self._store.policy
        access.at_one_of(
            time.perhaps_us(), lambda now_us: access.permit(person, request, policy, now_us=now_us)
        )

    def _log(
        self,
        request: access.Request,
        organisation: str,
        proof: access.Proof | None,
        refusal: str | None,
        records: tuple[int, ...],
    ) -> int:
        moment = self._store.time.now()
        purpose = request.purpose
        if request.action != "audit":
            purpose = self._store.policy.purpose(purpose)
        kind = "none" if proof is None else "password" if proof.password is not None else "ssh signature"
        entry = UnitAccess(
            action=request.action,
            at_us=moment.us,
            clock_state=moment.state,
            user=request.user,
            role=request.role,
            organisation=organisation,
            purpose=purpose,
            case_number=request.case_number,
            elements=request.subject,
            allowed=refusal is None,
            refusal=refusal,
            proof=kind,
            demo=self._ledger.standing.roster.demo,
            records=records,
        )
        return self._ledger.append(entry).sequence

    def _failures(self, user: str, now_us: int) -> list[int]:
        """When this user's logins failed, from the log; only failures that still count toward a lockout."""
        times: list[int] = []
        for sequence in reversed(holds.audit_sequences(self._store)):
            record = self._store.record(sequence)
            if isinstance(record, UnitAccess):
                if record.at_us < now_us - CJIS.window_us - CJIS.lock_us:
                    break
                if record.at_us > now_us + MINUTE_US:
                    continue  # from a clock that ran ahead: it would lock the person out until then
                failed = record.refusal is not None and access.BAD_CREDENTIAL in record.refusal
                times += [record.at_us] if failed and record.user == user else []
        return times

    # -- deeds -----------------------------------------------------------------------------------

    def _query(self, body: dict[str, Any]) -> dict[str, Any]:
        store = self._store
        query = codec.from_plain(search.UnitQuery, body.get("query"))
        images = bool(body.get("images"))
        limit = max(0, min(int(body.get("limit", MAX_ANSWERS)), MAX_ANSWERS))
        _, entry = self._admit(body, "query", subject_of(query, images=images))
        with store.lock:
            keys = dict(store.live)
            epochs = search.candidates(dict(store.book.epochs), keys, query, self._epoch_bounds_us)
        found: list[dict[str, Any]] = []
        more = False
        for sequence, exact in search.find_texts(store.home, epochs, keys, store.log_id, query.plate):
            try:
                read = self._ledger.read(sequence)
            except KeyLostError:
                continue  # purged since the search began
            if not query.since_us <= read.last_us or not read.first_us < query.until_us:
                continue
            if len(found) == limit:
                more = True
                break
            facts = codec.to_plain(read) | {"sequence": sequence, "exact": exact}
            if images and len(found) < MAX_IMAGES:
                facts["images"] = self._images(sequence)
            found.append(facts)
        shown = tuple(int(one["sequence"]) for one in found)
        self._ledger.append(UnitAccessEnded(access=entry, records=shown, at_us=store.time.now().us))
        return {"reads": found, "more": more, "entry": entry, "demo": self._ledger.standing.roster.demo}

    def _images(self, sequence: int) -> dict[str, bytes]:
        leaf = self._store.leaf(sequence)
        return {
            name: self._store.open_element(leaf, name).content for name in IMAGES if name in leaf.elements
        }

    def _audit(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = codec.from_plain(audit.UnitAuditFilter, body.get("filter"))
        _, entry = self._admit(body, "audit", f"access log {audit_subject(wanted)}")
        if wanted.purpose is not None:
            wanted = replace(wanted, purpose=self._store.policy.purpose(wanted.purpose))
        with self._store.lock:
            lines = [one for one in audit.read_lines(self._store, wanted) if one.sequence != entry]
            unknown = wanted.user is not None and not lines and self._is_unknown(wanted.user)
        return {"lines": [codec.to_plain(one) for one in lines], "entry": entry, "unknown": unknown}

    def _is_unknown(self, user: str) -> bool:
        """Whether neither the roster nor any entry names this person; entries also name former people."""
        if self._ledger.standing.roster.person(user) is not None:
            return False
        ever = audit.UnitAuditFilter(since_us=0, until_us=1 << 62, user=user, purpose=None, plate=None)
        return not audit.read_lines(self._store, ever)

    def _hold(self, body: dict[str, Any]) -> dict[str, Any]:
        records = _numbers(body.get("records"))
        ground, authority, number = (_text(body, name) for name in ("ground", "authority", "number"))

        def demand(_person: RosterPerson) -> tuple[int, ...]:
            access.demand_ground(self._store.policy, ground, authority, number)
            holds.demand_reads(self._store, records)
            return records

        person, entry = self._admit(body, "hold", hold_subject(records, ground, authority, number), demand)
        order = holds.HoldOrder(
            records=records,
            ground=ground,
            authority=authority,
            number=number,
            user=person.user,
            role=body["request"]["role"],
            organisation=person.organisation,
            demo=self._ledger.standing.roster.demo,
        )
        return {"hold": holds.place(self._store, order).sequence, "entry": entry}

    def _release(self, body: dict[str, Any]) -> dict[str, Any]:
        hold, second_body = int(body.get("hold", -1)), body.get("second")
        item = _text(body, "evidence_item")
        subject = f"release hold={hold} item={item}"
        if not isinstance(second_body, dict):
            raise RecordError("is missing: a release is signed by two people", where="second")

        def demand(_person: RosterPerson) -> tuple[int, ...]:
            return holds.demand_ending(self._store, hold, item).records

        def demand_both(second: RosterPerson) -> tuple[int, ...]:
            return holds.demand_release(self._store, hold, item, person.user, second.user).records

        person, _ = self._admit(body, "release", subject, demand)
        second, entry = self._admit(second_body, "release", subject, demand_both)
        ref = holds.release(
            self._store,
            hold,
            evidence_item=item,
            user=person.user,
            second_user=second.user,
            demo=self._ledger.standing.roster.demo,
        )
        return {"release": ref.sequence, "entry": entry}

    def _export(self, body: dict[str, Any]) -> dict[str, Any]:
        hold = body.get("hold")
        store = self._store
        asked = () if hold is not None else _numbers(body.get("records"))
        withhold = tuple(sorted(str(one) for one in body.get("withhold", ())))
        number = _text(body, "number")
        records: tuple[int, ...] = asked

        def demand(_person: RosterPerson) -> tuple[int, ...]:
            nonlocal records
            records = asked if hold is None else holds.find(store, int(hold)).records
            holds.demand_reads(store, records)
            return records

        if not set(withhold) <= set(evidence.ELEMENTS):
            raise RecordError(f"are among {', '.join(evidence.ELEMENTS)}", where="withhold")
        subject = evidence.export_subject(asked, hold, number, withhold)
        person, entry = self._admit(body, "export", subject, demand)
        demo = self._ledger.standing.roster.demo
        order = evidence.ExportOrder(
            records=records,
            withhold=withhold,
            number=number,
            hold=hold,
            user=person.user,
            demo=demo,
        )
        files = evidence.build(store, order)
        self._ledger.append(
            Export(
                records=records,
                elements=tuple(n for n in ("text", "place", "patch", "overview") if n not in withhold),
                package=evidence.digest_of(files),
                hold=hold,
                number=number,
                user=person.user,
                at_us=store.time.now().us,
                demo=demo,
            )
        )
        return {"files": files, "entry": entry}

    def _plan(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"items": [codec.to_plain(one) for one in self._ledger.retention_plan()]}

    def _apply(self, _body: dict[str, Any]) -> dict[str, Any]:
        receipt: purge.PurgeResult | None = self._ledger.apply_retention(by="retention apply")
        if receipt is None:
            return {"receipt": None, "waits_until_us": self._ledger.purge_waits_until_us()}
        return {"receipt": codec.to_plain(receipt.record), "sequence": receipt.sequence}

    def _epoch_bounds_us(self, facts: EpochFacts) -> list[int]:
        """The times of an epoch's first and last reads, by the reads themselves."""
        ends = self._store.db.conn.execute(
            "SELECT min(sequence), max(sequence) FROM leaves WHERE epoch = ?", (facts.epoch,)
        ).fetchone()
        times: list[int] = []
        for sequence in {one for one in ends if one is not None}:
            with contextlib.suppress(StorageError, KeyError):  # in an epoch of hits the last may be an alert
                read = self._ledger.read(int(sequence))
                times += [read.first_us, read.last_us]
        return times

    def _status(self, _body: dict[str, Any]) -> dict[str, Any]:
        return codec.to_plain(self._ledger.status())  # type: ignore[no-any-return]


def subject_of(query: search.UnitQuery, *, images: bool = False) -> str:
    """The data elements of a query, as logged (463.5 (b) 2)."""
    shown = " with images" if images else ""
    plate = "any plate" if query.plate is None else f"plate={query.plate}"
    until = "now" if query.until_us > 1 << 60 else utc_text(query.until_us)
    return f"{plate} since={utc_text(query.since_us)} until={until}{shown}"


def audit_subject(wanted: audit.UnitAuditFilter) -> str:
    plate = "" if wanted.plate is None else f" plate={normal_plate(wanted.plate)}"
    purpose = "" if wanted.purpose is None else f" purpose={wanted.purpose}"
    until = "now" if wanted.until_us > 1 << 60 else utc_text(wanted.until_us)
    return f"user={wanted.user or 'any'} since={utc_text(wanted.since_us)} until={until}{purpose}{plate}"


def hold_subject(records: tuple[int, ...], ground: str, authority: str, number: str) -> str:
    return f"hold records={_joined(records)} ground={ground} authority={authority} number={number}"


def _joined(records: tuple[int, ...]) -> str:
    return ",".join(str(one) for one in records)


def _numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(type(one) is int for one in value):
        raise RecordError("must be a list of record numbers", where="records")
    return tuple(value)


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > 500:
        raise RecordError("must be text of at most 500 characters", where=name)
    if not evidence.is_line(value):
        raise RecordError("must be one line, without a tab or another control character", where=name)
    return value
