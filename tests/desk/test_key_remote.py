"""A key service on its own machine: the desk works through it, and root at the desk gets nothing from it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from desk_keys import TOKEN
from desk_root import Root
from desk_server import serving
from desk_twins import GROUND, Department
from structlog.testing import capture_logs
from waiting import PATIENCE_S

from storage import envelope
from storage.codec import from_bytes, to_bytes
from storage.day_keys import DayKey, DayKeys
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.content import key_server
from sync.department.content.key_messages import CALLS, read_arguments
from sync.department.content.key_remote import ADDRESS_FILE, Address, RemoteKeyService, address_of, remote
from sync.department.content.key_server import key_app
from sync.department.content.key_service import MOST_DAYS, NOT_OF_DAY, LocalKeyService, ReceivingKeys
from sync.department.content.opened_list import OpenedCheck, OpenedList
from sync.department.content.proven_door import ProvenDoor
from sync.department.content.received_days import DATABASE, ReceivedDays
from sync.department.content.search_tokens import IndexedText, StoredElement
from sync.department.desk.context import DeskContext
from sync.department.desk.holds.calls import AskReleaseForm, Exported, ExportForm
from sync.department.desk.inquiry.forms import Answer, RunForm
from sync.department.desk.operations import OPERATIONS
from sync.department.journal import entries
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.machine_entries import DocumentSent
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.asked_keys import AskedKeys
from sync.department.server.keys_traces import lost_elsewhere
from sync.department.server.verify import Checker, StoreReport
from sync.department.store.blobs import open_packs
from sync.department.store.opening import open_store
from sync.department.store.tables import tokens
from sync.department.units import documents
from sync.errors import InvalidInputError, KeyServiceError

NO_LOG = bytes(32)


def test_a_search_runs_through_the_key_service_elsewhere(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    department.front = elsewhere[1]
    form = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    answer = department.call("inquiry/run", department.logon("comm1"), form)
    assert isinstance(answer, Answer)
    assert answer.count == 3


def test_a_key_service_that_admits_no_one_with_this_token_names_the_tokens_file(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    file = str(department.home.path / ADDRESS_FILE)
    stranger, _ = remote(Address(url=elsewhere[2], token="1" * 64, file=file))
    keys = AskedKeys(stranger)
    assert keys.check_tokens(1, NO_LOG, [IndexedText(StoredElement(b"", "text", b""), ())]) == [None]
    assert keys.days_with_keys((1, 2)) == set()
    stranger.close()
    (line,) = keys.take_unchecked()
    assert line.startswith(
        f"2 purged day's keys, 1 read's search token: key service {elsewhere[2]}: not admitted"
    )
    assert "token" in line.partition("not admitted")[2]
    assert file in line
    assert keys.take_unchecked() == []


def test_an_older_key_service_says_that_it_must_be_updated(
    department: Department,
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entries, "NEWEST_FORM", 5)
    with pytest.raises(DeskRefusal, match="update the key service") as refused:
        elsewhere[1].door.follow(department.desk.log.part(0, 5))
    assert refused.value.code == "newer"


def test_root_on_the_departments_server_gets_no_content_from_it(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    service, front, url = elsewhere
    for name in ("open_stored", "tokens", "hold_stored", "open_held", "destroy_hold_key"):
        assert not hasattr(service, name)  # the receiver's client has no such call
    shown = {name for name, call in CALLS.items() if call.shows_entry}
    assert shown == {"tokens", "match", "open", "hold", "open_held", "abandon", "release"}
    cover = department.desk.covered(0)
    with pytest.raises(DeskRefusal):
        front.door.tokens(cover, department.plate("8XYZ123"), [department.clock.us // DAY_US])
    stranger, _ = remote(Address(url=url, token="1" * 64))
    with pytest.raises(KeyServiceError, match="not admitted"):
        stranger.has_store_key(1)
    stranger.close()


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('url = "http://keys.example.gov:8466"', "url"),
        ("url = 3", "url"),
        ('url = "https://keys.example.gov 8466"', "url"),
        ('token = "two\\nlines"', "token"),
        ('token = "\u00e4"', "token"),
        ('token = ""', "token"),
        ('ca = "/nowhere/ca.pem"', "ca"),
        ("ca = 3", "ca"),
    ],
)
def test_an_address_that_cannot_be_right_is_named_with_its_field(
    department: Department, line: str, field: str
) -> None:
    """Without TLS, everyone on the way could read the token and all opened content."""
    lines = {"url": 'url = "https://keys.example.gov:8466"', "token": f'token = "{TOKEN}"'} | {field: line}
    path = department.home.path / ADDRESS_FILE
    path.write_text("\n".join(lines.values()))
    with pytest.raises(InvalidInputError) as refused:
        address_of(department.home)
    assert refused.value.where == f"{path}: {field}"


def test_what_the_receiver_needs_works_over_there(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    service = elsewhere[0]
    keys = service.issue_day_keys(20_800, 3)
    local = LocalKeyService(department.home.keys)
    assert keys == local.issue_day_keys(20_800, 3)
    day = (department.clock.us - DAY_US) // DAY_US
    assert service.has_store_key(day) == local.has_store_key(day)
    with pytest.raises(KeyServiceError, match="not been kept for 365 days"):
        service.destroy_store_key(day)  # root asks for it a year early
    assert local.has_store_key(day)
    department.clock.step(367 * DAY_US)
    service.destroy_store_key(day)
    assert not local.has_store_key(day)
    today = department.clock.us // DAY_US
    assert service.destroy_day_keys_before(today + 400) >= 1
    assert service.issue_day_keys(today - 366, 1) == local.issue_day_keys(today - 366, 1)
    local.close()


def test_one_question_says_which_of_many_days_have_a_key(
    department: Department,
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A purge asked once for each day of four years; an older service still answers so."""
    service, asked = elsewhere[0], list[str]()

    def read(name: str, data: bytes) -> tuple[object, ...]:
        asked.append(name)
        return read_arguments("-" if older and name == "which" else name, data)

    here = {int(path.stem) for path in (department.home.keys / "store").glob("*.key")}
    last = max(here) + 1
    (department.home.keys / "store" / f"{last}.key").mkdir()  # a purge must destroy it all the same
    days, older = range(last - 1500, last + 1), False
    monkeypatch.setattr(key_server, "read_arguments", read)
    assert service.days_with_keys(days) == here | {last}
    assert service.days_with_keys(()) == set()
    assert asked == ["which"]
    with pytest.raises(KeyServiceError, match="at most 4,000 days"):
        service._wire.ask("which", tuple(range(MOST_DAYS + 1)))
    assert service.days_with_keys(range(last - MOST_DAYS, last + 1)) == here | {last}
    asked.clear()
    older = True
    assert service.days_with_keys(days[-3:]) == (here | {last}).intersection(days[-3:])
    assert asked == ["which", "has", "has", "has"]


def verified(department: Department, keys: ReceivingKeys) -> StoreReport:
    """What `department verify` says about the store, using this key service."""
    store, home = open_store(department.home.database_url), department.home
    try:
        return Checker(store, keys, open_packs(home), home.log_key().public_key()).run()
    finally:
        store.close()


def test_search_tokens_are_checked_over_there_and_an_older_service_is_not_a_problem(
    department: Department,
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = elsewhere[0]
    before = verified(department, service)
    store = open_store(department.home.database_url)
    with store.write() as connection:
        some = sa.select(tokens.c.token).limit(1).scalar_subquery()
        connection.execute(sa.delete(tokens).where(tokens.c.token == some))
    store.close()
    found = [one for one in verified(department, service).problems if one not in before.problems]
    assert [one.partition(", text: ")[2] for one in found] == [
        "its search token is not here: no exact search finds it"
    ]
    monkeypatch.setattr(
        key_server,
        "read_arguments",
        lambda name, data: read_arguments(name.replace("check_tokens", "-"), data),
    )
    older = verified(department, service)
    assert older.problems == before.problems
    assert [one for one in older.unchecked if one not in before.unchecked] == [
        "the search tokens: key service: is of an earlier version, which does not know this check "
        "(update the machine where keys serve runs)"
    ]


def test_day_keys_that_the_service_did_not_make_are_named(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    """Root makes units seal to its own keys, and enters that they were offered."""
    service, _, _ = elsewhere
    department.clock.step(3 * DAY_US)
    made = service.issue_day_keys(department.clock.us // DAY_US, 3)
    own = tuple(DayKey.of(one.day, ec.generate_private_key(ec.SECP256R1())) for one in made)
    public, lines = service.listed()
    check, root = OpenedCheck.of(lines, Ed25519PublicKey.from_public_bytes(public)), Root(department)
    assert {line.kind for line in check.lines} == {"alert", "day-keys"}
    problems: list[str] = []
    for keys, name in ((made, "day-keys"), (own, "day-keys"), (own, "configuration")):
        body = to_bytes(DayKeys(version=made[-1].day, keys=keys))
        note = DocumentSent(
            name=name, version=made[-1].day, unit="", digest=hashlib.sha256(body).digest(), baseline=False
        )
        entry = root.write(note, root.stamp("system"))
        check.judge(department.desk.log.entry(entry), problems)
    assert problems == [
        f"entry {entry - 1}: day keys up to day {made[-1].day} were offered to units, and the "
        "key service made others"
    ]


def test_day_keys_that_a_key_service_elsewhere_lost_are_known_to_who_offers_new_ones(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    department.front.send_down()
    store, now = open_store(department.home.database_url), department.clock.us
    assert lost_elsewhere(store, elsewhere[0], now) == []
    for key in (department.home.keys / "day").glob("*.key"):
        key.unlink()
    lost = lost_elsewhere(store, elsewhere[0], now)
    assert now // DAY_US in lost
    documents.offer_new_day_keys(department.home, store, elsewhere[0], now)
    assert lost_elsewhere(store, elsewhere[0], now) == []
    (department.home.keys / "day" / f"{now // DAY_US}.key").unlink()
    for days, named in ((2, [now // DAY_US]), (366, [])):  # a key missing after its year is not lost
        assert lost_elsewhere(store, elsewhere[0], now + days * DAY_US) == named
    store.close()


def test_a_renewed_list_that_names_days_gone_by_is_one_that_the_service_made(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    """Asked for in two parts, it was in no line of the service, and `verify` called its keys others."""
    service, (store, now) = elsewhere[0], (open_store(department.home.database_url), department.clock.us)
    documents.offer_new_day_keys(department.home, store, service, now)
    later = now + 310 * DAY_US
    assert "day-keys" in documents.refresh(department.home, store, service, later)
    with store.read() as connection:
        body = envelope.split(documents.out(connection, "day-keys")[1], limit=1 << 20)[1]
    store.close()
    assert from_bytes(DayKeys, body, limit=1 << 20).keys[0].day == now // DAY_US
    public, lines = service.listed()
    check = OpenedCheck.of(lines, Ed25519PublicKey.from_public_bytes(public))
    assert hashlib.sha256(body).digest() in {one.root for one in check.lines if one.kind == "day-keys"}


def test_held_content_is_opened_over_there_for_an_export_entry_alone(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    """Root has a hold's ciphertext and every entry of the log; only an export's entry opens it."""
    department.front = elsewhere[1]
    door, desk, vault = department.front.door, department.desk, department.front.vault
    supervisor = department.logon("super")
    hold = department.held(supervisor)
    note = desk.log.entry(hold).note
    assert isinstance(note, HoldPlaced)
    (stored,) = vault.stored(note.access)
    name, wanted = f"{desk.log.log_id.hex()[:16]}-{note.access}", stored.row.wanted(stored.row.elements)
    assert elsewhere[0].check_held(name, stored.log_id, wanted) == [None] * len(wanted)
    swapped = [replace(one, stored=other.stored) for one, other in zip(wanted, wanted[::-1], strict=True)]
    assert None not in elsewhere[0].check_held(name, stored.log_id, swapped)
    assert b"7ABC000" not in b"".join(stored.row.elements.values())

    def opened(entry: int) -> None:
        door.open_held(desk.covered(entry), note.access, stored.log_id, [stored.row])

    answer = department.call(
        "inquiry/run", supervisor, RunForm(query=department.plate("7ABC000"), ground=GROUND)
    )
    assert isinstance(answer, Answer)
    assert [one.read for one in answer.reads] == [department.reads[0]]
    for entry, code in (
        (note.access, "other-action"),
        (answer.access, "other-action"),
        (hold, "cover"),
    ):
        with pytest.raises(DeskRefusal) as refused:
            opened(entry)
        assert refused.value.code == code
    for entry in (note.access, hold):
        with pytest.raises(DeskRefusal):
            door.release(desk.covered(entry))
    made = department.call("hold/export", supervisor, ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    assert isinstance(made, Exported)
    export = next(
        one.sequence
        for one in desk.log.entries(kinds=("access",))
        if isinstance(one.note, Access) and one.note.action == "export"
    )
    opened(export)
    department.clock.step(2 * HOUR_US)
    with pytest.raises(DeskRefusal) as refused:
        opened(export)
    assert refused.value.code == "old-cover"
    book = AskReleaseForm(hold=hold, evidence_item="E-26-0042")
    supervisor, chief = department.logon("super"), department.logon("chief")
    department.call("hold/book", supervisor, book)
    department.call("hold/ask-release", supervisor, book)
    key = department.home.keys / "hold" / f"{desk.log.log_id.hex()[:16]}-{note.access}.key"
    assert key.exists()
    department.call("hold/release", chief, book)
    assert not key.exists()
    assert vault.kept() == []


def test_a_guessed_plate_gets_no_token_for_a_day_gone_by(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    """Root seals a plate of its choice and has it received for an old day, to compare tokens."""
    today = department.clock.us // DAY_US
    for day in (today - 2, today + 2, 0):
        with pytest.raises(KeyServiceError, match="only for today"):
            elsewhere[0].open_and_reseal(day, NO_LOG, {}, [])
    assert elsewhere[0].open_and_reseal(today, NO_LOG, {}, []) == []
    guessed = StoredElement(leaf=b"a leaf by root's own unit", name="text", stored=b"")
    ((_, kept),) = elsewhere[0].reseal_again(today - 2, NO_LOG, {}, [guessed])
    assert (kept.refused, kept.token, kept.stored) == (NOT_OF_DAY, None, b"")


def test_a_look_at_the_text_opens_no_image(department: Department) -> None:
    """A search's entry opens the text; an image needs an entry of its own."""
    answer = department.call(
        "inquiry/run",
        department.logon("comm1"),
        RunForm(query=department.plate("8XYZ123"), ground=GROUND),
    )
    assert isinstance(answer, Answer)
    cover, front = department.desk.covered(answer.access), department.front
    names = [answer.reads[0].read]
    assert front.reads.open(front.door, cover, names, ("text", "place"))
    for name in ("patch", "overview"):
        with pytest.raises(DeskRefusal) as refused:
            front.reads.open(front.door, cover, names, ("text", name))
        assert refused.value.code == "other-action"


@pytest.mark.one_python
def test_every_call_of_the_table_is_answered_and_takes_its_own_arguments_alone(
    department: Department, elsewhere: tuple[RemoteKeyService, DeskContext, str]
) -> None:
    _, _, url = elsewhere
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(headers=headers, timeout=PATIENCE_S) as client:
        for name, call in CALLS.items():
            for body in (
                b"",
                b"\xff",
                to_bytes({}),
                to_bytes([]),
                to_bytes([{}] * len(call.takes)),
                to_bytes([0] * 9),
            ):
                answer = client.post(f"{url}/keys/{name}", content=body)
                assert answer.status_code == 409, (name, body)
        assert client.post(f"{url}/keys/open_stored", content=to_bytes([])).status_code == 409
        listed = client.post(f"{url}/keys/list", content=to_bytes([0]))
    assert listed.status_code == 200


@pytest.mark.parametrize(
    ("off_min", "words"),
    [
        (-9, ""),
        (9, ""),
        (59, ""),
        (-11, "11 minutes ahead of the key service's clock: compare the two"),
        (61, r"more than an hour old \(61 minutes\) by the key service's clock"),
        (400 * 1440, r"more than an hour old \(400 days\) by the key service's clock"),
    ],
)
def test_a_key_service_with_a_clock_of_its_own_answers_or_names_the_clocks(
    department: Department, tmp_path: Path, off_min: int, words: str
) -> None:
    """Two machines never agree on the time to the microsecond."""
    keys = LocalKeyService(department.home.keys, department.clock)
    opened = OpenedList(tmp_path)
    off_us = off_min * MINUTE_US

    def clock() -> int:
        return department.clock() + off_us

    app = key_app(keys, opened, department.home.root_file.read_bytes(), TOKEN, clock)
    with serving(app) as client:
        _, door = remote(Address(url=str(client.base_url).rstrip("/"), token=TOKEN), client)
        front = replace(department.front, door=ProvenDoor(lambda: door, department.desk.log))
        token, form = department.logon("comm1"), RunForm(query=department.plate("8XYZ123"), ground=GROUND)
        if not words:
            answer = OPERATIONS["inquiry/run"].run(front, token, form)
            assert isinstance(answer, Answer)
            assert answer.count == 3
        else:
            with pytest.raises(DeskRefusal, match=words):
                OPERATIONS["inquiry/run"].run(front, token, form)
    keys.close()
    opened.close()


def test_a_damaged_file_of_received_days_is_set_aside_and_another_begins(tmp_path: Path) -> None:
    """Losing the file is harmless, so damage to it must not stop a key service."""
    (tmp_path / DATABASE).write_bytes(b"no database " * 999)
    one = StoredElement(leaf=b"leaf", name="text", stored=b"")
    with capture_logs() as events:
        made = ReceivedDays(tmp_path)
    assert [str(tmp_path / DATABASE) in str(said) for said in events] == [True]
    made.keep(7, [one])
    made.keep(9, [one])
    assert made.days_of([one, replace(one, name="place")]) == [7, None]
    made.close()
    assert {path.name for path in tmp_path.iterdir()} == {DATABASE, f"{DATABASE}.damaged"}
