"""The public counts over the access log, without any plate, person or case. No I/O.

They come from the facts of the log's entries and nothing else, so that any holder of the log counts the same.
The newest co-signed checkpoint shows which log it was, and the witness that no entry was taken out of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from storage.alert_life import NEGATIVE, AlertAnswer, AlertEvent
from storage.alert_terms import AlertTerms
from sync.department.desk.alerts.rules import LEAST_PEOPLE, SOURCE_WRONG, SourceShare
from sync.department.desk.transparency.facts import AGAIN, Fact
from sync.department.journal.alert_entries import AlertKnown, AlertStepTaken
from sync.department.journal.change_entries import (
    CasesCompared,
    DayCounted,
    DocumentSigned,
    GlassBroken,
    GlassJudged,
    ListSent,
)
from sync.department.journal.entries import AuditDone, FindingClosed, FindingOpened, Refused, WitnessAway
from sync.department.journal.hold_entries import HoldPlaced, HoldReleased, Purged
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.journal.sharing_entries import ShareAsked, ShareDecided, ShareDelivered, ShareRouted

FORMAT = 2
HOT_LIST = "hot-list"
MISREAD = frozenset({AlertAnswer.WRONG_CHARACTER.value, AlertAnswer.WRONG_STATE.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many entries there were of one kind: an action, a purpose, a detector, a verdict."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """What one agency received. `transfers`: how many packages; `reads`: how many reads were in them."""

    agency: str
    requests: int
    approved: int
    refused: int
    transfers: int
    reads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergencies:
    """Searches by one person alone, and how a second person judged them."""

    searches: int
    justified: int
    unjustified: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNumbers:
    """Lookups compared with CAD and RMS. `share`: the share whose number exists, or -1 before any
    comparison."""

    compared: int
    existing: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Alerts (463.7). `silent`: those that did not sound; `covert`: those that only named people see.

    `answered`: hits that a person compared with the picture; `misreads`: those whose plate or state was
    misread; `other_vehicle`: those where the plate matches but the vehicle does not. `tests`: closed planted
    mismatches; `catch_rate`: the share of them that was caught, or -1 before any. An open one counts as a
    hit, since the counts would otherwise reveal it.
    """

    raised: int
    silent: int
    covert: int
    answered: int
    misreads: int
    other_vehicle: int
    tests: int
    tests_caught: int
    catch_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HotList:
    """The newest version of a hot list that was sent. `agency`: the agency that shares it, if any.

    `categories`: counts of entries that are not covert; for the public, `entries` leaves covert ones out too.
    """

    list_id: str
    source: str
    agency: str
    entries: int
    covert: int
    categories: tuple[Tally, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redress:
    """Requests from the public."""

    asked: int
    answered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transparency:
    """The public counts. `checkpoint`: the newest co-signed tree head.

    `silent_sources`: sources with too many wrong hits; they make no sound once two people found so.
    `refusals`: without those that only asked for a proof or a login again. `witnesses`: by name; `quorum`:
    how many of them must co-sign a tree head.
    """

    format: int
    department: str
    policy_version: int
    as_of_us: int
    entries: int
    days_counted: int
    reads_received: int
    days_purged: int
    reads_purged: int
    accesses: tuple[Tally, ...]
    inquiries_by_purpose: tuple[Tally, ...]
    refusals: int
    emergencies: Emergencies
    case_numbers: CaseNumbers
    sharing: tuple[Agency, ...]
    sent_to_records_release: int
    findings_opened: tuple[Tally, ...]
    findings_closed: tuple[Tally, ...]
    audits: int
    holds_placed: int
    holds_released: int
    hits: Hits
    hot_lists: tuple[HotList, ...]
    hot_lists_signed: int
    silent_sources: tuple[str, ...]
    redress: Redress
    witness_absences: int
    witnesses: tuple[str, ...]
    quorum: int
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the counts need besides the entries: whose log it is, its size, who co-signs it, the policy's
    terms."""

    department: str
    policy_version: int
    as_of_us: int
    entries: int
    witnesses: tuple[str, ...]
    quorum: int
    checkpoint: str
    alert_terms: AlertTerms


@dataclass(slots=True)
class _Sums:
    """The running sums over the facts."""

    kinds: Counter[str] = field(default_factory=Counter)
    accesses: Counter[str] = field(default_factory=Counter)
    purposes: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    cases: Counter[str] = field(default_factory=Counter)
    hot_lists_signed: int = 0
    asked_again: int = 0
    days: dict[str, int] = field(default_factory=dict)
    purged: dict[str, int] = field(default_factory=dict)
    asked: dict[int, str] = field(default_factory=dict)
    agencies: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    judged: dict[int, bool] = field(default_factory=dict)
    lists: dict[str, HotList] = field(default_factory=dict)
    hits: dict[str, tuple[str, bool, bool]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    tests: dict[str, Counter[bool]] = field(default_factory=lambda: defaultdict(Counter))
    planted: dict[str, tuple[str, bool, bool]] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)


def _tallies(counter: Counter[str]) -> tuple[Tally, ...]:
    return tuple(Tally(name=name, count=number) for name, number in sorted(counter.items()))


def count(facts: Iterable[Fact], seen: Seen) -> Transparency:
    """The public counts over these facts."""
    sums = _Sums()
    for fact in facts:
        sums.kinds[fact.kind] += 1
        _add(sums, fact)
        _add_alert(sums, fact)
    return _counted(sums, seen)


def for_public(facts: Sequence[Fact], seen: Seen) -> Transparency:
    """The same without what would reveal a covert entry to a wanted person.

    Its hits and answers count only as covert hits. Covert numbers and the number of signed lists are rounded
    down to tens. What was opened of alerts is left out, as is a list without open entries. The auditor's
    bundle is exact.
    """
    whole = count(facts, seen)
    hidden = {one.words[0] for one in facts if one.kind == AlertKnown.KIND and one.numbers[2]}
    alerts = {AlertKnown.KIND, AlertStepTaken.KIND}
    shown = count((one for one in facts if one.kind not in alerts or one.words[0] not in hidden), seen)
    return replace(
        shown,
        accesses=tuple(one for one in shown.accesses if one.name not in OF_ALERTS),
        hits=replace(shown.hits, covert=_tens(whole.hits.covert)),
        hot_lists=tuple(one for one in map(_open_list, shown.hot_lists) if one.entries or one.covert),
        hot_lists_signed=_tens(shown.hot_lists_signed),
    )


def _open_list(one: HotList) -> HotList:
    """A list without its covert entries. If an earlier version's categories count them, its number is in
    tens."""
    overt, categories = one.entries - one.covert, one.categories
    if sum(each.count for each in categories) != overt:
        overt = _tens(overt)
        categories = tuple(replace(each, count=_tens(each.count)) for each in categories)
    return replace(one, entries=overt, covert=_tens(one.covert), categories=categories)


OF_ALERTS = frozenset({"alert", "alert-image"})  # actions that follow a hit, covert or not


def _tens(number: int) -> int:
    return number // 10 * 10


def _add(sums: _Sums, fact: Fact) -> None:  # noqa: PLR0912 - one case per kind
    words, numbers = fact.words, fact.numbers
    match fact.kind:
        case Refused.KIND:
            sums.asked_again += AGAIN in words
        case Access.KIND:
            sums.accesses[words[0]] += 1
            if words[0] == "search":
                sums.purposes[words[1]] += 1
        case DayCounted.KIND:
            sums.days[words[0]] = numbers[0]
        case Purged.KIND:
            sums.purged[words[0]] = sums.purged.get(words[0], 0) + numbers[0]
        case GlassJudged.KIND:
            sums.judged[numbers[0]] = bool(numbers[1])
        case CasesCompared.KIND:
            sums.cases["compared"] += numbers[0]
            sums.cases["existing"] += numbers[1]
        case ShareAsked.KIND:
            sums.asked[fact.entry] = words[0]
            sums.agencies[words[0]]["requests"] += 1
        case ShareDecided.KIND:
            sums.agencies[sums.asked[numbers[0]]]["approved" if numbers[1] else "refused"] += 1
        case ShareDelivered.KIND:
            sums.agencies[sums.asked[numbers[0]]]["transfers"] += 1
            sums.agencies[sums.asked[numbers[0]]]["reads"] += numbers[1]
        case FindingOpened.KIND:
            sums.opened[words[0]] += 1
        case FindingClosed.KIND:
            sums.closed[words[0]] += 1
        case DocumentSigned.KIND:
            sums.hot_lists_signed += words[0] == HOT_LIST
        case RedressAnswered.KIND:
            sums.settled.add(numbers[0])


def _add_alert(sums: _Sums, fact: Fact) -> None:
    words, numbers = fact.words, fact.numbers
    match fact.kind:
        case ListSent.KIND:
            sums.lists[words[0]] = HotList(
                list_id=words[0],
                source=words[1],
                agency=words[2],
                entries=numbers[0],
                covert=numbers[1],
                categories=tuple(
                    Tally(name=name, count=one) for name, one in zip(words[3:], numbers[2:], strict=True)
                ),
            )
        case AlertKnown.KIND:
            kept = sums.planted if numbers[0] else sums.hits
            kept.setdefault(words[0], (words[1], bool(numbers[1]), bool(numbers[2])))
        case AlertStepTaken.KIND:
            if words[0] in sums.planted and words[1] == AlertEvent.TRANSCRIBED.value:
                sums.tests[words[0]][bool(numbers[0])] += 1
            if words[1] == AlertEvent.CLOSED.value:
                sums.over.add(words[0])
            if words[2]:
                sums.answers[words[0]] = words[2]


def _hits(sums: _Sums) -> Hits:
    hits = sums.hits | {name: one for name, one in sums.planted.items() if name not in sums.over}
    answers = Counter(answer for alert, answer in sums.answers.items() if alert in hits)
    over = [one for name, one in sums.tests.items() if name in sums.over]
    tests, found = sum(one.total() for one in over), sum(one[True] for one in over)
    return Hits(
        raised=len(hits),
        silent=sum(silent for _source, silent, _covert in hits.values()),
        covert=sum(covert for _source, _silent, covert in hits.values()),
        answered=answers.total(),
        misreads=sum(answers[one] for one in MISREAD),
        other_vehicle=answers[AlertAnswer.NOT_THIS_VEHICLE.value],
        tests=tests,
        tests_caught=found,
        catch_rate=found / tests if tests else -1.0,
    )


def silent_before(facts: Iterable[Fact], terms: AlertTerms) -> tuple[str, ...]:
    """The silent sources by the rule of earlier versions, where misreadings counted against their source."""
    sums = _Sums()
    for fact in facts:
        _add_alert(sums, fact)
    return _silent_sources(sums, terms, NEGATIVE)


def _silent_sources(
    sums: _Sums, terms: AlertTerms, wrong: frozenset[AlertAnswer] = SOURCE_WRONG
) -> tuple[str, ...]:
    checked, rejected = Counter[str](), Counter[str]()
    negative = {one.value for one in wrong}
    for alert, answer in sums.answers.items():
        if alert in sums.hits and answer != AlertAnswer.CANNOT_TELL.value:
            source = sums.hits[alert][0]
            checked[source] += 1
            rejected[source] += answer in negative
    shares = (SourceShare(name, checked[name], rejected[name], LEAST_PEOPLE) for name in sorted(checked))
    return tuple(one.source for one in shares if one.muted(terms))


def _agencies(sums: _Sums) -> tuple[Agency, ...]:
    return tuple(
        Agency(
            agency=name,
            requests=one["requests"],
            approved=one["approved"],
            refused=one["refused"],
            transfers=one["transfers"],
            reads=one["reads"],
        )
        for name, one in sorted(sums.agencies.items())
    )


def _counted(sums: _Sums, seen: Seen) -> Transparency:
    kinds, judged, cases = sums.kinds, sums.judged, sums.cases
    return Transparency(
        format=FORMAT,
        department=seen.department,
        policy_version=seen.policy_version,
        as_of_us=seen.as_of_us,
        entries=seen.entries,
        days_counted=len(sums.days),
        reads_received=sum(sums.days.values()),
        days_purged=len(sums.purged),
        reads_purged=sum(sums.purged.values()),
        accesses=_tallies(sums.accesses),
        inquiries_by_purpose=_tallies(sums.purposes),
        refusals=kinds[Refused.KIND] - sums.asked_again,
        emergencies=Emergencies(
            searches=kinds[GlassBroken.KIND],
            justified=sum(judged.values()),
            unjustified=len(judged) - sum(judged.values()),
            waiting=kinds[GlassBroken.KIND] - len(judged),
        ),
        case_numbers=CaseNumbers(
            compared=cases["compared"],
            existing=cases["existing"],
            share=cases["existing"] / cases["compared"] if cases["compared"] else -1.0,
        ),
        sharing=_agencies(sums),
        sent_to_records_release=kinds[ShareRouted.KIND],
        findings_opened=_tallies(sums.opened),
        findings_closed=_tallies(sums.closed),
        audits=kinds[AuditDone.KIND],
        holds_placed=kinds[HoldPlaced.KIND],
        holds_released=kinds[HoldReleased.KIND],
        hits=_hits(sums),
        hot_lists=tuple(one for _name, one in sorted(sums.lists.items())),
        hot_lists_signed=sums.hot_lists_signed,
        silent_sources=_silent_sources(sums, seen.alert_terms),
        redress=Redress(asked=kinds[RedressAsked.KIND], answered=len(sums.settled)),
        witness_absences=kinds[WitnessAway.KIND],
        witnesses=seen.witnesses,
        quorum=seen.quorum,
        checkpoint=seen.checkpoint,
    )
