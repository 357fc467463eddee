"""Units report what they accept, which reveals documents and grants that root signed without the desk.

Root holds the command key and the department's database. The unit is a real one: it accepts what it is
offered, records it, and delivers the record with its next sync.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import SteppedTime
from desk_forms import forms
from desk_root import Root, covered_by
from desk_twins import Department
from receiver_twins import Joined
from sync_twins import converse
from update_twin import update_file

from storage import codec, envelope
from storage.grant_format import REPAIR_COMMANDS, Bundle, Grant, GrantRole, issue, open_bundle
from storage.log_records import GrantTaken
from storage.policy import CustodyPolicy
from storage.roster import Roster, RosterPerson
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, HOUR_US
from sync import messages
from sync.department.desk.documents.calls import SignForm
from sync.department.desk.grants.calls import Granted, GrantForm, LendForm, Lent, SignedForm
from sync.department.ground.home import load_ed25519
from sync.department.journal import check_log
from sync.department.journal.change_entries import DocumentSigned
from sync.department.journal.machine_entries import DocumentSent
from sync.department.server import daily, offered
from sync.department.server.following import signing_of
from sync.department.server.server import Department as Server
from sync.department.server.unit_reports import Reported, Reset
from sync.department.server.verify import Checker
from sync.department.store import tables
from sync.department.units import documents
from sync.hot_lists.held import CLEARED, MUTED, ClearedPairs, MutedSources

HOLDER = SshPublicKey.of(Ed25519PrivateKey.generate()).line
CONFIGURATION = b"[camera]\nfps = 20\n"


@pytest.fixture
def unit(department: Department, server: Server, tmp_path: Path) -> Iterator[Joined]:
    """A unit that is in the log and took what the department offers today."""
    made = Joined(tmp_path / "unit", server, "car 12", time_source=SteppedTime(department.clock.us))
    department.front.send_down()
    daily.list_units(department.front)  # it joined without the desk, as before the log named codes
    synced(made, server)
    yield made
    made.close()


def synced(unit: Joined, server: Server) -> None:
    """Take what is offered and deliver the record of it."""
    converse(unit, server)
    converse(unit, server)


def reported(server: Server) -> Reported:
    key = server.home.log_key().public_key()
    return Checker(server.store, server.keys, server.packs, key).run().reported


def verdict(department: Department, server: Server) -> tuple[list[str], list[str]]:
    """Check the units' reports two days later. Returns (what is wrong, what was not checked)."""
    department.clock.step(2 * DAY_US)
    department.logon("chief")
    covered = covered_by(department)
    log = department.desk.log
    assert check_log.check(log.folder, log.public, keys=log.keys, taken=covered).problems == ()
    return covered.compare(reported(server))


def configured(department: Department) -> None:
    form = SignForm(kind="configuration", body=CONFIGURATION, reason="a better lens")
    department.two_hands("document/sign", department.logon("super"), form, second="chief")


def test_what_the_desk_sent_and_units_took_is_covered(
    department: Department, server: Server, unit: Joined
) -> None:
    configured(department)
    update = SignForm(kind="update", name="9.9", body=update_file(), reason="the spring release")
    department.two_hands("document/sign", department.logon("super"), update, second="chief")
    synced(unit, server)
    names = {record.name for _, record in reported(server).files}
    assert {"policy", "roster", "day-keys", "configuration", "update/9.9"} <= names
    assert verdict(department, server) == ([], [])


@pytest.mark.parametrize("name", ["configuration", "update/9.9", "hot-list/evil"])
@pytest.mark.parametrize("enters", [False, True], ids=["no entry", "an entry of the machine"])
def test_a_document_that_root_signed_past_the_desk_is_named(
    department: Department, server: Server, unit: Joined, name: str, enters: bool
) -> None:
    """Even if the honest daily run, or root, enters that it was offered: no person signed it."""
    documents.send(department.home, server.store, name, b"evil = 1\n", department.clock.us)
    synced(unit, server)
    if enters:
        department.front.enter_sent()
    wrong, _ = verdict(department, server)
    said = ["no person signed version"] if enters else ["no person signed version", "no entry covers it"]
    assert len(wrong) == len(said)
    for line, words in zip(wrong, said, strict=True):
        assert name in line
        assert words in line


def test_a_second_configuration_under_one_signed_entry_is_named(
    department: Department, server: Server, unit: Joined
) -> None:
    configured(department)
    department.clock.step(HOUR_US)
    documents.send(department.home, server.store, "configuration", b"evil = 1\n", department.clock.us)
    department.front.enter_sent()
    synced(unit, server)
    (wrong,), _ = verdict(department, server)
    assert "no person signed version" in wrong


def test_a_signature_that_root_enters_twice_covers_one_configuration(
    department: Department, server: Server
) -> None:
    configured(department)
    entry = next(department.desk.log.entries(kinds=(DocumentSigned.KIND,)))
    root = Root(department)
    again = root.write(entry.note, root.stamp("super", entry.stamp.session), entry.signed)
    department.clock.step(HOUR_US)
    documents.send(department.home, server.store, "configuration", b"evil = 1\n", department.clock.us)
    department.front.enter_sent()
    covered, log = covered_by(department), department.desk.log
    (twice,) = check_log.check(log.folder, log.public, keys=log.keys, taken=covered).problems
    assert twice.startswith(f"entry {again}: ")
    assert "the signature was used before" in twice
    assert "no person signed version" in covered.compare(Reported())[0][0]


def forged(department: Department, server: Server, name: str) -> int:
    """Root signs a roster with an extra person, or a policy that keeps reads longer. Returns its version."""
    command = load_ed25519(department.home.path / "command.key")
    with server.store.write() as connection:
        version, message = documents.out(connection, name)
        said = envelope.split(message, limit=1 << 20)[1]
        if name == "roster":
            ghost = RosterPerson(
                user="ghost", roles=("communications",), organisation="-", ssh_keys=(), password=None,
                trained_us=0, topics=(), trainer="", revoked=False,
            )  # fmt: skip
            people = codec.from_bytes(Roster, said).people
            body = codec.to_bytes(Roster(version=version + 1, demo=False, people=(*people, ghost)))
        else:
            policy = codec.from_bytes(CustodyPolicy, said)
            body = codec.to_bytes(replace(policy, version=version + 1, keep_days=policy.keep_days - 1))
        made = documents.sign_document(name, body, command)
        documents.publish(connection, name, version + 1, made, department.clock.us)
    return version + 1


@pytest.mark.parametrize("name", ["roster", "policy"])
@pytest.mark.parametrize("enters", [False, True], ids=["no entry", "an entry of the machine"])
def test_a_roster_or_policy_that_the_log_does_not_make_is_named(
    department: Department, server: Server, unit: Joined, name: str, enters: bool
) -> None:
    """Root admits a key at the units; the next honest roster covers it up, but not the record of it."""
    version = forged(department, server, name)
    if enters:
        department.front.enter_sent()
    synced(unit, server)
    if name == "roster":
        department.front.send_down()
    (wrong,), _ = verdict(department, server)
    if enters:
        assert wrong.endswith(f"document_sent: version {version} of {name} does not follow from the log")
    else:
        assert wrong == f"car 12 took {name}, version {version}: no entry covers it"


def cleared_of_an_entry() -> tuple[bytes, str]:
    return codec.to_bytes(ClearedPairs(pairs=(hashlib.sha256(b"the plate of a friend").digest(),))), CLEARED


def muted_source() -> tuple[bytes, str]:
    return codec.to_bytes(MutedSources(sources=("SVS",))), MUTED


@pytest.mark.parametrize("keeps", ["its own signing", "the signing of the last", "none"])
@pytest.mark.parametrize("forge", [cleared_of_an_entry, muted_source])
def test_what_units_receive_of_hits_follows_from_the_log(
    department: Department,
    server: Server,
    unit: Joined,
    forge: Callable[[], tuple[bytes, str]],
    keeps: str,
) -> None:
    """Root clears a wanted vehicle, or mutes a source, and enters it as the system does."""
    department.front.offer_cleared()
    department.front.offer_cleared()  # each has its own time
    assert verdict(department, server)[0] == []
    body, name = forge()
    version = documents.send(department.home, server.store, name, body, department.clock.us)
    with server.store.read() as connection:
        _, message = documents.out(connection, name)
    *_, last = (
        one.note
        for one in department.desk.log.entries(kinds=(DocumentSent.KIND,))
        if isinstance(one.note, DocumentSent) and one.note.name == name
    )
    signing = {"its own signing": signing_of(name, message), "the signing of the last": last.signing}.get(
        keeps
    )
    note = replace(last, version=version, digest=hashlib.sha256(message).digest(), signing=signing or b"")
    entry = Root(department).write(note, Root(department).stamp("system"))
    synced(unit, server)
    (wrong,), _ = verdict(department, server)
    assert wrong == f"entry {entry}: document_sent: version {version} of {name} does not follow from the log"


@pytest.mark.parametrize(
    ("baseline", "words"),
    [(False, "no person signed version"), (True, "version 1099511627776 of hot-list/doj was not out before")],
)
def test_an_entry_of_the_machine_for_a_list_that_no_person_signed_is_named(
    department: Department, server: Server, unit: Joined, baseline: bool, words: str
) -> None:
    configured(department)  # the log names what was offered
    note = DocumentSent(name="hot-list/doj", version=1 << 40, unit="", digest=bytes(32), baseline=baseline)
    entry = Root(department).write(note, Root(department).stamp("system"))
    (wrong, not_out), _ = verdict(department, server)
    assert wrong.startswith(f"entry {entry}: document_sent: {words}")
    assert (
        not_out == f"units are no longer offered hot-list/doj, which they were offered in version {1 << 40}"
    )


def test_a_document_of_the_last_hours_is_not_called_wrong(
    department: Department, server: Server, unit: Joined
) -> None:
    """The daily run enters what another process sent; until then, it is reported as unchecked."""
    version = documents.send(department.home, server.store, "closed/ab", b"x", department.clock.us)
    synced(unit, server)
    covered = covered_by(department)
    log = department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    wrong, unchecked = covered.compare(reported(server))
    assert wrong == []
    assert unchecked == [
        "closed/ab at car 12: newer than the log's last day",
        f"version {version} of closed/ab, which units are offered: the daily run enters it, "
        "and verify judges it then",
    ]
    daily.run(department.front, server.retention)
    assert verdict(department, server)[0] == []


@pytest.mark.parametrize("name", ["roster", "policy", "day-keys", CLEARED, "hot-list/doj"])
def test_a_document_for_all_that_one_unit_is_offered_apart_is_named_and_no_daily_run_makes_it_good(
    department: Department, server: Server, unit: Joined, name: str
) -> None:
    """Root inserts a copy, or another signed by the command key: a desk never offers these to one unit."""
    department.front.offer_cleared()
    department.two_hands(
        "hotlist/push", department.logon("super"), forms(department)["hotlist/push"], second="chief"
    )
    unit_id, rows = unit.folder.member().unit_id, tables.documents
    columns = [rows.c.name, sa.literal(unit_id), rows.c.version, rows.c.message, rows.c.at_us]
    with server.store.write() as connection:
        copy = sa.select(*columns).where(rows.c.name == name, rows.c.unit_id == "")
        names = [rows.c.name, rows.c.unit_id, rows.c.version, rows.c.message, rows.c.at_us]
        connection.execute(sa.insert(rows).from_select(names, copy))
    assert verdict(department, server) == (
        [f"{name} is for every unit, and unit {unit_id[:16]} is offered it separately"], []
    )  # fmt: skip
    daily.run(department.front, server.retention)
    wrong, _ = verdict(department, server)
    apart = f"document_sent: {name} is for every unit, and was offered to unit {unit_id[:16]} separately"
    assert [one for one in wrong if one.endswith(apart)], wrong


@pytest.mark.parametrize("apart", [True, False])
def test_a_configuration_that_no_person_signed_is_named_before_the_daily_run_too(
    department: Department, server: Server, unit: Joined, apart: bool
) -> None:
    configured(department)
    at = unit.folder.member().unit_id if apart else ""
    version = documents.send(department.home, server.store, "configuration", b"x", department.clock.us, at)
    wrong, unchecked = verdict(department, server)
    assert wrong == [f"no person signed version {version} of configuration, which units are offered"]
    assert unchecked == []


def test_a_configuration_whose_entry_a_crash_kept_from_the_log_waits_for_the_daily_run(
    department: Department, server: Server, unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(department)
    monkeypatch.setattr(offered, "enter", lambda *_: 0)
    configured(department)
    (waits,) = verdict(department, server)[1]
    assert "of configuration, which units are offered: the daily run enters it" in waits
    monkeypatch.undo()
    daily.run(department.front, server.retention)
    assert verdict(department, server) == ([], [])


# --- grants


def taken(unit: Joined, grant: Grant) -> None:
    """The record of a login with it at the unit's console, as `firmware/console/maintenance.py` makes it."""
    digest = hashlib.sha256(codec.to_bytes(grant)).digest()
    unit.ledger.append(GrantTaken(grant_id=grant.grant_id, digest=digest, at_us=unit.clock.now().us))


def given(department: Department) -> Grant:
    form = GrantForm(
        person="vendor1", organisation="Maker", role=GrantRole.VENDOR, holder_key=HOLDER,
        purpose="repair: lens", work_order="WO-1", units=("car-7",),
    )  # fmt: skip
    made = department.call("grant/issue", department.logon("chief"), form)
    assert isinstance(made, Granted)
    command = load_ed25519(department.home.path / "command.key").public_key()
    return open_bundle(Bundle.parse(made.bundle), [command])


def test_a_grant_of_the_desk_is_covered_and_another_under_its_number_is_not(
    department: Department, server: Server, unit: Joined
) -> None:
    grant = given(department)
    taken(unit, grant)
    synced(unit, server)
    assert verdict(department, server)[0] == []
    taken(unit, replace(grant, commands=("factory-reset",)))
    synced(unit, server)
    (wrong,), _ = verdict(department, server)
    assert "that is not the one in the log" in wrong


def test_a_grant_that_root_signed_with_the_command_key_is_named(
    department: Department, server: Server, unit: Joined
) -> None:
    taken(unit, replace(given(department), grant_id="ef" * 16))
    synced(unit, server)
    (wrong,), _ = verdict(department, server)
    assert wrong.startswith(f"car 12 let a person in by grant {'ef' * 16}: no entry covers it")


def test_a_clock_set_back_hides_no_grant_that_came_after_what_the_department_signed(
    department: Department, server: Server, unit: Joined
) -> None:
    """By the unit's word, it took the grant before the access log was opened, which excuses it. That does
    not count after a document signed since, and so not if the unit joined since, nor after a receipt.
    """
    early = GrantTaken(grant_id="ab" * 16, digest=bytes(32), at_us=1)
    unit.ledger.append(early)
    synced(unit, server)
    (wrong,), _ = verdict(department, server)
    assert "ab" * 16 in wrong
    covered, log = covered_by(department), department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    said = Reported()
    said.add("car 12", early)
    assert covered.compare(said) == ([], ["grants that were used at car 12 before the log was opened"])
    said.prove(department.clock.us)
    said.add("car 12", replace(early, grant_id="cd" * 16))
    assert "cd" * 16 in covered.compare(said)[0][0]


def test_a_clock_set_back_hides_no_reset_of_a_log_that_had_a_receipt(department: Department) -> None:
    said = Reported()
    said.begin_log()
    said.prove(department.clock.us)
    said.add_reset(Reset("car-7", "ab", "", 1, "car-7"))
    said.begin_log()
    said.add_reset(Reset("car-8", "cd", "", 1, "car-8"))
    assert [one.at_us for one in said.resets] == [department.clock.us, 1]


def test_a_designees_grant_is_covered_once_it_is_entered(
    department: Department, server: Server, unit: Joined
) -> None:
    lent = department.call("grant/lend", department.logon("chief"), LendForm(designee="deputy", days=3))
    assert isinstance(lent, Lent)
    now, key = department.clock.us, Ed25519PrivateKey.from_private_bytes(lent.key)
    night = replace(
        given(department), grant_id="ab" * 16, commands=tuple(sorted(REPAIR_COMMANDS)), issued_us=now,
        from_us=now, to_us=now + HOUR_US,
    )  # fmt: skip
    bundle = issue(night, key, delegation=lent.delegation).to_bytes()
    taken(unit, night)
    synced(unit, server)
    (wrong,), _ = verdict(department, server)
    assert "department grant enter" in wrong
    department.call("grant/enter", department.logon("deputy"), SignedForm(bundle=bundle))
    assert verdict(department, server)[0] == []


def test_a_reset_is_dated_by_when_its_log_was_taken_in_whatever_the_unit_says(
    department: Department, server: Server, unit: Joined
) -> None:
    """A unit's log key signs any time, and before the access log began, no entry would be required."""
    synced(unit, server)
    said = messages.seal_message(replace(unit.last_word(), at_us=1, grant_id=""), unit.outbox.sign)
    server.receiver.answer("destroyed", said)
    (wrong,), _ = verdict(department, server)
    assert wrong.endswith("was reset under grant (none): no entry allows it")


@pytest.mark.parametrize(
    ("grant", "is_named"), [("", True), ("cd" * 16, True), ("repair", True), ("two people", False)]
)
def test_a_reset_needs_a_grant_that_allows_it(
    department: Department, server: Server, grant: str, is_named: bool
) -> None:
    if grant == "repair":
        grant = given(department).grant_id
    elif grant == "two people":
        form = GrantForm(
            person="vendor1", organisation="Maker", role=GrantRole.VENDOR, holder_key=HOLDER,
            purpose="repair: lens", work_order="WO-1", units=("car-7",), commands=("factory-reset",),
        )  # fmt: skip
        made = department.two_hands("grant/issue", department.logon("chief"), form)
        assert isinstance(made, Granted)
        grant = made.grant_id
    covered = covered_by(department)
    log = department.desk.log
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    said = Reported(resets=[Reset("car-7", "ab" * 32, grant, department.clock.us, "car-7")])
    assert bool(covered.compare(said)[0]) is is_named
