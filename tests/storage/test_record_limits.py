"""The limits of records' fields: the last value inside passes, the first outside is refused by name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import codec
from storage.access import Request
from storage.alert_terms import DEFAULT_ALERTS, CategoryTerms
from storage.checkpoint import NoteKey
from storage.day_keys import DayKey
from storage.errors import StorageError
from storage.keyring import EpochKey
from storage.policy import CustodyPolicy, NoReadZone, PolicyTerm
from storage.read_records import Position, ReadPlace, ReadText
from storage.record_base import ClockState, KeyClass
from storage.roster import Roster, RosterPerson
from storage.search import UnitQuery
from storage.ssh_signature import SshPublicKey
from storage.standing import UnitEnrollment

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CATEGORY = CategoryTerms(id="stolen", clause="463.2", says="Stolen", accepts=("stolen",), never=())
ZONE = NoReadZone(id="clinic", corners=((1.0, 1.0), (1.0, 2.0), (2.0, 2.0)))
PERSON = RosterPerson(
    user="o.lee", roles=("dispatcher",), organisation="demo", ssh_keys=(), password=None, trained_us=1,
    topics=("equipment",), trainer="a", revoked=False,
)  # fmt: skip
TERM = PolicyTerm(id="patrol", clause="9.2", text="Patrol")
GOOD: dict[str, Any] = {
    "request": Request(action="query", user="o", role="r", purpose="p", case_number="c", subject="s"),
    "category": CATEGORY,
    "alerts": DEFAULT_ALERTS,
    "day key": DayKey.of(1, ec.generate_private_key(ec.SECP256R1())),
    "epoch key": EpochKey(epoch=0, key_class=KeyClass.OPEN, own=bytes(32), day=bytes(60), day_key=None),
    "zone": ZONE,
    "policy": CustodyPolicy(),
    "position": Position(latitude=0.0, longitude=0.0, error_m=0.0),
    "text": ReadText(
        text="7XKR219", confidence=0.5, jurisdiction=None, slots=b"", candidates=(), frames_voted=1,
        plate_box=(0.0, 0.0, 1.0, 1.0), corners=(), models=(), software="1", demo=True,
    ),
    "place": ReadPlace(
        first_us=1, last_us=1, time_error_us=0, clock_state=ClockState.DISCIPLINED, position=None,
        direction="towards", lane=None, camera="c",
    ),
    "person": PERSON,
    "roster": Roster(version=1, demo=False, people=(PERSON,)),
    "query": UnitQuery(plate="7XKR219", since_us=1, until_us=1),
    "enrollment": UnitEnrollment(
        version=1, organisation="o", unit="u", command_key=bytes(32),
        department=NoteKey("d.example", KEY.public_key()).text(),
    ),
}  # fmt: skip


def zones(count: int) -> tuple[NoReadZone, ...]:
    return tuple(dataclasses.replace(ZONE, id=f"z{at}") for at in range(count))


def categories(count: int) -> tuple[CategoryTerms, ...]:
    return tuple(dataclasses.replace(CATEGORY, id=f"c{at}", accepts=(f"w{at}",)) for at in range(count))


def corners(count: int, *last: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    return (*((0.1, float(at) / 10) for at in range(count)), *last)


# record, field, values at the limit inside, first values outside, the refusal's text
LIMITS: list[tuple[str, str, list[Any], list[Any], str]] = [
    *(
        ("request", name, ["x" * 200], ["x" * 201], f"{name}: is longer than 200")
        for name in ("action", "user", "role", "purpose", "case_number")
    ),
    ("request", "subject", ["x" * 4000], ["x" * 4001], "subject: is longer than 4000"),
    ("category", "id", ["a", "a-1", "a" * 32], ["", "A", "1a", "a" * 33], "categories: an id is small"),
    ("category", "says", ["x", "x" * 60], ["", "x" * 61, "a\x1b[2J"], "stolen: says needs 1 to 60 printable"),
    ("category", "accepts", [(), ("w",) * 64, ("w" * 60,)], [("w",) * 65, ("w" * 61,), ("",)], "at most 64"),
    ("category", "never", [("w",) * 63], [("w",) * 64, ("w", "")], "at most 64 words of 60 characters"),
    ("alerts", "categories", [categories(1), categories(64)], [(), categories(65)], "categories, each once"),
    ("alerts", "categories", [], [(CATEGORY, dataclasses.replace(CATEGORY, accepts=()))], "each once"),
    ("alerts", "categories", [], [(CATEGORY, dataclasses.replace(CATEGORY, id="b", accepts=("Stolen",)))],
     "two categories accept one word"),
    *(
        ("alerts", name, [low, high], [low - 1, high + 1], f"alerts.{name}: .* outside {low} to {high}")
        for name, low, high in (
            ("bad_lines_per_thousand", 0, 200), ("stale_hours", 1, 168), ("local_days", 1, 30),
            ("clets_minutes", 1, 60), ("outcome_hours", 1, 72), ("source_rejected_percent", 1, 100),
            ("source_rejected_least", 1, 1000), ("planted_per_thousand", 0, 500),
        )
    ),
    ("alerts", "list_score", [0.01, 0.7], [0.009, 0.71], "list_score <= sound_score"),
    ("alerts", "sound_score", [0.2, 1.0], [0.19, 1.01], "list_score <= sound_score"),
    ("day key", "point", [], [b"", bytes(65), b"\x04" + bytes(64)], "day key 1: is not a point on P-256"),
    ("epoch key", "own", [None], [b"", bytes(31), bytes(33)], "an epoch key is malformed"),
    ("epoch key", "day", [None], [], ""),
    ("zone", "id", ["a" * 32], ["", "A", "a" * 33], "no_read_zones: an id is small letters"),
    ("zone", "corners", [corners(3), corners(256)], [corners(2), corners(257)], "where 3 to 256 belong"),
    ("zone", "corners", [corners(3, (90.0, 180.0)), corners(3, (-90.0, -180.0))],
     [corners(3, (90.1, 0.0)), corners(3, (-90.1, 0.0)), corners(3, (0.0, 180.1)), corners(3, (0.0, -180.1))],
     "clinic: a corner is not on the earth"),
    *(
        ("policy", name, [low, high], [low - 1, high + 1], f"policy.{name}: must be in {low} to {high}")
        for name, low, high in (
            ("epoch_hours", 1, 24), ("keep_days", 1, 365), ("keep_hours_after_receipt", 0, 365 * 24),
            ("audit_keep_days", 2 * 365, 100 * 365), ("training_days", 1, 366),
        )
    ),
    ("policy", "memory_only", [(), ("read", "hit")], [("status",), ("read", "all")], "may name read and hit"),
    *(
        ("policy", name, [(), ("reviewer", "ccat")], [("vendor",), ("chief", "reviewer")], f"{name}: names")
        for name in ("inquiry_roles", "hold_roles", "audit_roles")
    ),
    *(
        ("policy", name, [(TERM,)], [(), (TERM, TERM), (dataclasses.replace(TERM, id="A"),)], f"{name}: ne")
        for name in ("purposes", "grounds")
    ),
    ("policy", "topics", [("a",)], [(), ("equipment", "Equipment")], "policy.topics: needs at least one"),
    ("policy", "case_pattern", ["[0-9]{4}", "[0-9]{4}" + "|7777" * 198 + "|a"],
     ["[0-9]{4}" + "|7777" * 198 + "|aa"], "policy.case_pattern: is longer than 1000"),
    ("policy", "case_pattern", [], ["("], "policy.case_pattern: is not a regular expression"),
    ("policy", "case_refused", [], ["("], "policy.case_refused: is not a regular expression"),
    ("policy", "case_refused", [], ["x" * 1001], "policy.case_refused: is longer than 1000"),
    ("policy", "case_refused", [".*"], ["x"], "lets '0' pass, which is not a case number|lets "),
    ("policy", "no_read_zones", [zones(64)], [zones(65), (ZONE, ZONE)], "at most 64 zones, each once"),
    ("position", "latitude", [-90.0, 90.0], [-90.1, 90.1], "position: latitude, longitude or error"),
    ("position", "longitude", [-180.0, 180.0], [-180.1, 180.1], "position: latitude, longitude or error"),
    ("position", "error_m", [0.0], [-0.1], "position: latitude, longitude or error"),
    ("text", "text", ["A", "A" * 16, "7?"], ["", "A" * 17, "a", "A B"], "read.text: must be 1 to 16"),
    ("text", "confidence", [0.0, 1.0], [-0.01, 1.01], "read.confidence: must be in 0 to 1"),
    ("text", "frames_voted", [1], [0], "frames_voted or slots malformed"),
    ("text", "slots", [bytes(148), bytes(148 * 7)], [bytes(147), bytes(149)], "frames_voted or slots"),
    ("place", "direction", ["towards", "away", "parked", "unknown"], ["", "left"], "must be towards, away"),
    ("place", "first_us", [0], [-1, 2], "must run forward"),
    ("place", "last_us", [2], [0], "must run forward"),
    ("place", "time_error_us", [0], [-1], "must run forward"),
    ("person", "user", ["a", "7.a_b-c", "a" * 64], ["", ".a", "A", "a b", "a" * 65], "roster.user: must be"),
    ("person", "roles", [("dispatcher", "ccat")], [(), ("dispatcher", "chief")], "o.lee.roles: must be"),
    ("person", "topics", [()], [("Equipment",)], "o.lee.topics: must be topics of training"),
    ("person", "password", [bytes(48)], [b"", bytes(47), bytes(49)], "o.lee.password: is malformed"),
    ("person", "ssh_keys", [(SshPublicKey.of(KEY).blob,)], [(b"ssh-rsa",)], "cut short"),
    ("roster", "people", [()], [(PERSON, PERSON)], "roster: names a person twice"),
    ("query", "plate", [None, "A" * 16, "?"], ["", "A" * 17, "a"], "plate: must be 1 to 16"),
    ("query", "since_us", [0], [-1, 2], "since, until: must run forward"),
    ("query", "until_us", [2], [0], "since, until: must run forward"),
    ("enrollment", "command_key", [bytes(32)], [b"", bytes(31), bytes(33)], "has 32 bytes"),
    ("enrollment", "department", [], ["d.example"], "not a public key of the form"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "field", "inside", "outside", "error"),
    LIMITS,
    ids=[f"{record} {field} {at}" for at, (record, field, *_) in enumerate(LIMITS)],
)
def test_a_value_at_its_limit_passes_and_the_next_one_is_refused(
    record: str, field: str, inside: list[Any], outside: list[Any], error: str
) -> None:
    good = GOOD[record]
    plain = codec.to_plain(good)
    for value in inside:
        made = dataclasses.replace(good, **{field: value})
        assert codec.from_plain(type(good), codec.to_plain(made)) == made
    for value in outside:
        with pytest.raises(StorageError, match=error):
            codec.from_plain(type(good), plain | {field: codec.to_plain(value)})


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
def test_each_record_of_the_table_is_itself_allowed(good: Any) -> None:
    assert codec.from_bytes(type(good), codec.to_bytes(good)) == good


def test_an_epoch_key_that_nothing_opens_is_refused() -> None:
    plain = codec.to_plain(GOOD["epoch key"]) | {"own": None, "day": None}
    with pytest.raises(StorageError, match="an epoch key is malformed"):
        codec.from_plain(EpochKey, plain)
