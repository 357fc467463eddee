"""The desk's people at a unit: the synced roster, training that expires, access that is revoked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_twins import SteppedTime
from desk_twins import Department
from receiver_twins import Joined
from sync_twins import converse

from storage import access, codec, ssh_signature
from storage.audit import UnitAuditFilter
from storage.door import Door, audit_subject
from storage.errors import RefusedError, StorageError
from storage.ledger import Ledger
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, HOUR_US
from sync.department.desk.due import OverdueForm
from sync.department.desk.people.calls import AccountForm
from sync.department.desk.people.training_calls import TrainingForm
from sync.department.policy.desk_terms import NEW_TOPICS_DAYS
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Role
from sync.department.server import roster as roster_down
from sync.department.server import server as servers
from sync.department.server.open_desk import adopt_root
from sync.department.units import documents as unit_documents

REVIEWER = Ed25519PrivateKey.generate()


@pytest.fixture
def unit(server: servers.Department, department: Department, tmp_path: Path) -> Iterator[Joined]:
    time = SteppedTime(us=department.clock.us)
    made = Joined(tmp_path / "unit", server, "car-8", time_source=time)
    made.ledger.close()  # the unit's running time passes too: no clock alone ends a training
    made.ledger = Ledger.open(made.home, made.slot, time, boot=time.boot)
    yield made
    made.close()


def stepped(unit: Joined, us: int) -> None:
    """Let time pass for the unit."""
    assert isinstance(unit.clock, SteppedTime)
    unit.clock.run(us)


def with_key(department: Department, chief: str, **change: object) -> None:
    """Give the reviewer the key that is shown at a unit."""
    form = AccountForm(
        user="reviewer1",
        name="Reviewer1",
        organisation="Monrovia PD",
        roles=(Role.REVIEWER,),
        reason="key",
        ssh_keys=(SshPublicKey.of(REVIEWER).line,),
    )
    department.two_hands("user/set", chief, replace(form, **change))  # type: ignore[arg-type]


def audits(unit: Joined, user: str = "reviewer1", key: Ed25519PrivateKey = REVIEWER) -> dict[str, object]:
    """Read the unit's access log there, as a person with a key does."""
    door = Door(unit.ledger)
    nonce = door.answer("challenge", {})["nonce"]
    wanted = UnitAuditFilter(since_us=0, until_us=1 << 62, user=None, purpose=None, plate=None)
    request = access.Request(
        action="audit",
        user=user,
        role="reviewer",
        purpose="",
        case_number="",
        subject=f"access log {audit_subject(wanted)}",
    )
    message = access.challenge(unit.ledger.store.log_id, nonce, request)
    signature = ssh_signature.sign(message, key, namespace=access.NAMESPACE)
    proof = access.Proof(nonce=nonce, signature=signature, password=None)
    body = {
        "request": codec.to_plain(request),
        "proof": codec.to_plain(proof),
        "filter": codec.to_plain(wanted),
    }
    return door.answer("audit", body)


def refused(unit: Joined) -> str:
    with pytest.raises(RefusedError) as error:
        audits(unit)
    return str(error.value)


def test_a_person_of_the_desk_is_known_at_the_unit_until_their_training_ends_or_they_are_removed(
    department: Department, server: servers.Department, unit: Joined
) -> None:
    assert "does not prove" in refused(unit)  # the first roster has no person with a key
    chief = department.logon("chief")
    with_key(department, chief)
    assert "does not prove" in refused(unit)  # not synced yet
    assert "roster" in converse(unit, server).documents
    assert audits(unit)
    assert converse(unit, server).documents == ()  # nothing changed, so nothing is sent
    stepped(unit, 366 * DAY_US)
    assert "463.9" in refused(unit)
    department.clock.step(366 * DAY_US)
    with_training(department)
    assert "roster" in converse(unit, server).documents
    assert audits(unit)
    with_key(department, department.logon("chief"), active=False, roles=(), reason="left")
    assert "roster" in converse(unit, server).documents
    assert "revoked" in refused(unit)


def with_training(department: Department) -> None:
    """A year later, each person changes an expired password, and then the supervisor trains again."""
    for user in ("chief", "super"):
        department.renew_password(user)
    department.train(department.logon("chief"), "super", "chief")
    department.train(department.logon("super"), "reviewer1", "super")


def test_every_change_of_the_roster_goes_out_under_the_next_version_and_nothing_else(
    department: Department, server: servers.Department
) -> None:
    def out() -> int:
        with server.store.read() as connection:
            return int(unit_documents.out(connection, "roster")[0])

    chief, first = department.logon("chief"), out()
    with_key(department, chief)
    assert out() == first + 1
    with_key(department, chief)
    assert out() == first + 1
    with pytest.raises(DeskRefusal):
        with_key(department, chief, ssh_keys=("ssh-rsa AAAA",))
    with pytest.raises(FormError, match="another person's"):  # one person must not count as two
        with_key(department, chief, user="vendor1", roles=(Role.VENDOR,))
    assert out() == first + 1
    department.train(department.logon("super"), "comm1", "super")
    assert out() == first + 2
    people = {one.user: one for one in roster_down.people_of(department.desk.book, department.clock.us)}
    assert people["disp1"].roles == ("dispatcher", "communications")
    assert people["vendor1"].topics == ()
    assert people["comm1"].password is None
    assert people["comm1"].trainer == "super"


def test_a_roster_that_could_not_be_signed_is_overdue_until_it_is(
    department: Department, server: servers.Department
) -> None:
    """The command key is on the administrator's token, which is not here now."""
    chief = department.logon("chief")

    def lags() -> bool:
        found = department.call("compliance/overdue", chief, OverdueForm())
        return any(one.kind == "roster" for one in found)  # type: ignore[attr-defined]

    department.front.send_down()
    assert not lags()
    key = department.home.path / "command.key"
    away = key.rename(department.home.path / "token")
    with_key(department, chief)
    assert lags()
    away.rename(key)
    assert department.front.send_down() == ["roster"]
    assert not lags()


def test_a_policy_that_changed_reaches_units_and_leaves_a_month_for_training_in_its_new_topics(
    department: Department, server: servers.Department, unit: Joined
) -> None:
    with_key(department, department.logon("chief"))
    converse(unit, server)
    assert audits(unit)
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n")
    text = text.replace("valid_days = 365", "valid_days = 180")
    text = text.replace(
        "[[training.topics]]",
        '[[training.topics]]\nid = "news"\nclause = "463.9"\ntext = "News"\n[[training.topics]]',
        1,
    )
    document = text.encode()
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)
    assert sorted(set(department.front.send_down()) - {"day-keys"}) == ["policy", "roster"]
    assert {"policy", "roster"} <= set(converse(unit, server).documents)
    assert unit.ledger.store.policy.training_days == 180
    assert audits(unit)
    department.clock.step(NEW_TOPICS_DAYS * DAY_US)
    stepped(unit, NEW_TOPICS_DAYS * DAY_US)
    assert "roster" in department.front.send_down()
    converse(unit, server)
    assert "463.9" in refused(unit)
    form = TrainingForm(
        user="reviewer1",
        trainer="super",
        course="ALPR-463",
        policy_version=3,
        topics=("equipment", "department-policy", "privacy-policy", "news"),
        held_us=department.clock.us - HOUR_US,
    )
    supervisor = department.logon("super")
    department.call("training/record", supervisor, form)
    converse(unit, server)
    assert audits(unit)


def test_a_forged_or_older_roster_is_not_taken(
    department: Department, server: servers.Department, unit: Joined
) -> None:
    with_key(department, department.logon("chief"))
    converse(unit, server)
    before = unit.ledger.standing.version_of("roster")
    with server.store.read() as connection:
        _, message = unit_documents.out(connection, "roster")
    forged = unit_documents.sign_document("roster", message, Ed25519PrivateKey.generate())
    for bad in (message, forged):
        with pytest.raises(StorageError, match=r"newer|signature|signed"):
            unit.outbox.take_document("roster", bad)
    assert unit.ledger.standing.version_of("roster") == before
