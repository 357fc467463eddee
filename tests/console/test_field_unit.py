"""The real unit behind the console: a ledger on disk, signed revocations, keys destroyed first."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from field_home import COMMAND, NOW_US, Home, a_read

from firmware.console import field_unit
from firmware.console.errors import UnitRefusedError
from firmware.custody.opening import open_ledger
from firmware.health.system_marks import SystemMarks
from firmware.run.prepared_home import prepare_home
from firmware.settings.config import load_config
from hw.clock import SetClock, TimeState
from hw.errors import SlotFailedError
from storage import codec, envelope
from storage.audit_records import Configuration
from storage.checkpoint import NoteKey
from storage.clock_trust import DEPARTMENT
from storage.errors import SlotError
from storage.record_base import ClockState
from storage.roster import Roster, RosterPerson
from storage.standing import UnitEnrollment
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync import messages
from sync.destruction import Destroyed, of_text
from sync.documents import Carried, context_of
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder


def trained_300_days_ago(home: Home) -> None:
    """The roster has only t.okafor, whose training ends in 65 days."""
    okafor = RosterPerson(
        user="t.okafor", roles=("ccat",), organisation="d", ssh_keys=(), password=None,
        trained_us=NOW_US - 300 * DAY_US, topics=(), trainer="super", revoked=False,
    )  # fmt: skip
    home.ledger.standing.roster = Roster(version=1, demo=False, people=(okafor,))


def revocations(
    key: ed25519.Ed25519PrivateKey, names: object, *, name: str = "revocations", version: int = 1
) -> bytes:
    body = Carried(
        name=name, version=version, unit_id="", issued_us=NOW_US, expires_us=None, body=envelope.encode(names)
    )
    return envelope.sign(codec.to_bytes(body), key, context=context_of(name))


def test_a_new_home_is_empty_and_one_with_a_read_is_not(home: Home) -> None:
    assert home.unit.identity().empty
    home.ledger.append_read(a_read(), patch=b"", overview=b"")
    assert not home.unit.identity().empty
    assert home.unit.reset_obstacles().unacknowledged == 1
    opened = home.ledger.store.book.opened
    assert opened is not None
    assert home.unit.reset_obstacles().opened_us == opened.opened_us


def test_the_roster_ends_grants_with_training_and_removal_and_asks_no_training_of_a_vendor(
    home: Home,
) -> None:
    """463.9 requires no training of vendors: their access ends with the grant or by removal."""
    home.enroll()
    day_us = 86_400_000_000
    trained = home.unit.time_us()[0] - home.ledger.store.policy.training_days * day_us

    def person(user: str, role: str, trained_us: int, *, revoked: bool = False) -> RosterPerson:
        return RosterPerson(
            user=user, roles=(role,), organisation="d", ssh_keys=(), password=None, trained_us=trained_us,
            topics=(), trainer="super", revoked=revoked,
        )  # fmt: skip

    home.ledger.standing.roster = Roster(
        version=1,
        demo=False,
        people=(
            person("lapsed", "ccat", trained),
            person("last-day", "ccat", trained + day_us),
            person("current", "ccat", NOW_US - 1),
            person("gone", "ccat", NOW_US - 1, revoked=True),
            person("maker", "vendor", 0),
            person("old-maker", "vendor", 0, revoked=True),
        ),
    )
    assert home.unit.revoked() == {"lapsed", "gone", "old-maker"}


def test_the_signed_list_of_revoked_grants_counts(home: Home) -> None:
    folder = home.enroll()
    assert "t.okafor" not in home.unit.revoked()
    (folder.inbox / "revocations.cbor").write_bytes(revocations(COMMAND, ["t.okafor", "ab" * 16]))
    assert {"t.okafor", "ab" * 16} <= home.unit.revoked()


def test_a_list_of_revoked_grants_that_was_set_back_or_deleted_lets_no_one_in(home: Home) -> None:
    """The log has the version that came; a person with the card can replace the file beside it."""
    folder = home.enroll()
    kept = folder.inbox / "revocations.cbor"
    older, newer = (revocations(COMMAND, names, version=at) for at, names in ((1, []), (2, ["v.ito"])))
    public = COMMAND.public_key()
    department = NoteKey("department.example", public).text()
    home.ledger.standing.enroll(
        UnitEnrollment(
            version=1,
            organisation="d",
            unit="unit-7",
            command_key=public.public_bytes_raw(),
            department=department,
        )
    )
    outbox = LedgerOutbox(home.ledger, folder.inbox)
    for message in (older, newer):
        outbox.take_document("revocations", message)
    assert "v.ito" in home.unit.revoked()
    for wrong in (older, revocations(COMMAND, [], version=2)):
        kept.write_bytes(wrong)
        with pytest.raises(UnitRefusedError, match="not the version that this unit's log took"):
            home.unit.revoked()
    kept.unlink()
    with pytest.raises(UnitRefusedError, match="is missing: sync now"):
        home.unit.revoked()
    kept.write_bytes(revocations(COMMAND, ["v.ito", "t.okafor"], version=3))  # written, then a power cut
    assert home.unit.revoked() >= {"v.ito", "t.okafor"}


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(lambda: revocations(ed25519.Ed25519PrivateKey.generate(), []), id="signed by another"),
        pytest.param(lambda: revocations(COMMAND, [], name="hot-list"), id="another document"),
        pytest.param(lambda: revocations(COMMAND, {"a": 1}), id="no list"),
        pytest.param(lambda: b"", id="empty"),
    ],
)
def test_a_forged_or_damaged_list_stops_every_login(home: Home, message: Callable[[], bytes]) -> None:
    folder = home.enroll()
    (folder.inbox / "revocations.cbor").write_bytes(message())
    with pytest.raises(UnitRefusedError, match="damaged"):
        home.unit.revoked()


def bundle(folder: SyncFolder, name: str, body: bytes, key: ed25519.Ed25519PrivateKey = COMMAND) -> None:
    carried = Carried(
        name=f"update/{name}", version=1, unit_id="", issued_us=NOW_US, expires_us=None, body=body
    )
    message = envelope.sign(codec.to_bytes(carried), key, context=context_of(carried.name))
    (folder.inbox / f"update_{name}.cbor").write_bytes(message)


def test_an_update_that_was_given_up_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    why = "version 3: slot B did not start"
    monkeypatch.setattr(field_unit, "system_marks", lambda: SystemMarks(given_up=why))
    assert f"given up: {why}" in home.unit.update_state()


def test_a_bundle_that_came_with_a_sync_is_named_and_handed_to_the_installer(home: Home) -> None:
    folder = home.enroll()
    assert "no sync delivered" in home.unit.update_state()[-1]
    bundle(folder, "0.2.0", b"a bundle")
    assert home.unit.update_state()[-1].startswith("ready: 0.2.0, 0.0 MB, signed 2026-11-18")
    seen: list[bytes] = []

    def install(source: str) -> str:
        seen.append(Path(source).read_bytes())
        return "installed"

    home.machine.install_update = install  # type: ignore[method-assign]
    assert list(home.unit.update("0.2.0")) == ["checking 0.2.0", field_unit.KEEP_POWER, "installed"]
    assert seen == [b"a bundle"]
    assert [path.name for path in folder.path.iterdir() if "bundle" in path.name] == []


def test_an_unsigned_bundle_is_not_handed_on(home: Home) -> None:
    folder = home.enroll()
    bundle(folder, "0.3.0", b"evil", ed25519.Ed25519PrivateKey.generate())
    assert "bundle 0.3.0 is damaged" in home.unit.update_state()[-1]
    for name, reason in (("0.3.0", "damaged"), ("0.9.0", "delivered a bundle 0.9.0")):
        with pytest.raises(UnitRefusedError, match=reason):
            list(home.unit.update(name))
    assert home.machine.asked == []


def test_a_factory_reset_destroys_the_key_before_anything_else(home: Home, tmp_path: Path) -> None:
    home.ledger.append_read(a_read(), patch=b"", overview=b"")
    slot = home.ledger.store.slot
    before = slot.read()
    steps = home.unit.factory_reset(home.unit.reset_obstacles())
    assert "keys destroyed" in next(steps)
    assert before is not None
    assert slot.read() == bytes(len(before))
    assert (home.path / "reset-begun").read_text() == slot.uri
    assert (home.path / "store" / "ledger.sqlite3").exists()
    for _ in steps:
        pass
    assert [path.name for path in home.path.iterdir()] == ["reset-begun"]  # until the new unit has its log
    with pytest.raises(SlotFailedError, match="was reset"):
        home.ledger.store.anchor(force=True)
    assert slot.read() in (None, bytes(len(before)))
    assert home.machine.asked == ["reboot"]


def test_a_reset_without_a_network_keeps_and_prints_its_signed_receipt(home: Home) -> None:
    """It names what was never delivered, and the grant, but nothing of a read."""
    home.enroll()
    for _ in range(3):
        home.ledger.append_read(a_read(), patch=b"", overview=b"")
    public = home.ledger.store.log.key_of_notes.public
    lines = list(home.unit.factory_reset(home.unit.reset_obstacles(), grant_id="g-463"))
    [kept] = (home.path / "destroyed").iterdir()
    assert {path.name for path in home.path.iterdir()} == {"destroyed", "reset-begun"}
    assert (home.path / "reset-begun").read_text() == "file:slot"  # the receipt is not sent twice
    assert kept.stat().st_mode & 0o777 == 0o600
    message = of_text("\n".join(lines).encode())
    assert message == kept.read_bytes()
    said = messages.open_message(Destroyed, message, public)
    assert (said.undelivered, said.grant_id, said.unit_id) == (3, "g-463", "unit-7")
    assert sum(last - first + 1 for first, last in said.ranges) == 3
    assert b"7ABC123" not in message
    assert home.machine.asked == ["reboot"]


def test_an_older_copy_of_the_card_opens_nothing_after_a_reset(tmp_path: Path) -> None:
    import shutil

    from firmware.custody.opening import create_ledger

    chip, card = tmp_path / "chip", tmp_path / "home"
    card.mkdir()
    create_ledger(card, slot_uri=f"loopback:{chip}", clock=SetClock(NOW_US)).close()
    home = Home(card)
    home.ledger.append_read(a_read(), patch=b"", overview=b"")
    shutil.copytree(card, tmp_path / "copy")
    for _ in home.unit.factory_reset(home.unit.reset_obstacles()):
        pass
    with pytest.raises(SlotError, match="is empty"):
        open_ledger(tmp_path / "copy")
    home.ledger.store.close()
    assert prepare_home(card, slot_uri=f"loopback:{chip}")  # the next unit uses the same chip
    open_ledger(card).close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exposure_us", "500"),
        ("gain_max", "4.5"),
        ("focus_dioptres", "0.2"),
        ("fps", "15"),
        ("rotation", "180"),
    ],
)
def test_a_camera_setting_is_one_line_of_the_configuration(home: Home, name: str, value: str) -> None:
    before = (home.path / "config.toml").read_text().splitlines()
    assert "from the next frame" in home.unit.set_camera(name, value)
    after = (home.path / "config.toml").read_text().splitlines()
    assert getattr(load_config(home.path).camera, name) == float(value)
    assert home.tuned == [load_config(home.path).camera]
    assert len([1 for old, new in zip(before, after, strict=True) if old != new]) == 1


def test_a_setting_that_the_camera_does_not_take_is_said_with_the_way_back(home: Home) -> None:
    """The console said that it applies, and the unit was blind."""
    home.not_taken = "camera 0: its lens has no motor"
    said = home.unit.set_camera("focus_dioptres", "0.2")
    assert said.startswith("saved, but the camera does not take it: camera 0: its lens has no motor")
    assert "camera focus_dioptres default" in said
    home.not_taken = ""
    assert "from the next frame" in home.unit.set_camera("focus_dioptres", "default")
    home.unit.set_camera("gain_max", "4")
    home.not_taken = "camera 0: it has no gain of 9"
    assert "undo it: camera gain_max 4)" in home.unit.set_camera("gain_max", "9")


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("exposure_us", "0900", "900"),  # TOML allows no leading zeros
        ("gain_max", "009", "9"),
        ("fps", "009", "9"),
        ("focus_dioptres", "009", "0.9"),
        ("rotation", "0180", "180"),
    ],
)
def test_each_camera_setting_goes_back_to_how_the_unit_was_made_by_one_word(
    home: Home, name: str, one: str, other: str
) -> None:
    made = load_config(home.path).camera
    home.unit.set_camera(name, one)
    assert load_config(home.path).camera != made
    home.unit.set_camera(name, "default")
    assert load_config(home.path).camera == made
    home.unit.set_camera(name, other)
    assert load_config(home.path).camera != made


def test_a_camera_is_turned_by_half_a_turn_or_not_at_all(home: Home) -> None:
    with pytest.raises(UnitRefusedError, match="rotation must be 0 or 180"):
        home.unit.set_camera("rotation", "90")
    assert load_config(home.path).camera.rotation == 0


def test_a_bundle_is_looked_for_on_a_medium_and_nowhere_else(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a person with a grant could find out which files exist, such as hot lists by name."""
    medium = tmp_path / "media"
    monkeypatch.setattr(field_unit, "MEDIA", (medium, home.path))  # the home may be on one
    (medium / "folder").mkdir(parents=True)
    (medium / "bundle").touch()
    (medium / "link").symlink_to("/")
    (medium / "loop").symlink_to("loop")
    for path, said in (
        (medium / "folder", "not a file: name the bundle itself"),
        (medium / "absent", "no such file"),
        (medium / "loop", "no such file"),
        ("/etc/passwd", "not on a medium"),
        ("/etc/absent", "not on a medium"),
        (medium / "link" / "etc" / "passwd", "not on a medium"),
        (home.path / "sync" / "inbox", "not on a medium"),
    ):
        with pytest.raises(UnitRefusedError, match=said):
            list(home.unit.update(str(path)))
    assert list(home.unit.update(str(medium / "bundle")))[-1] == "installed"


def test_a_changed_setting_is_in_the_log_and_kept_where_the_camera_is_away(home: Home) -> None:
    store = home.ledger.store
    home.camera_gone = True
    assert "at the next start: no camera" in home.unit.set_camera("gain_max", "4.5")
    records = [store.record(sequence) for sequence in range(store.log.frontier.size)]
    documents = [record.document for record in records if isinstance(record, Configuration)]
    assert b"gain_max = 4.5" in documents[-1]
    assert load_config(home.path).camera.gain_max == 4.5


def test_an_enrolled_unit_has_the_name_that_its_people_use_and_the_id_that_grants_name(home: Home) -> None:
    assert (home.unit.identity().unit, home.unit.identity().name) == ("reader-1", "reader-1")
    home.enroll()
    assert (home.unit.identity().unit, home.unit.identity().name) == ("unit-7", "car-12")


@pytest.mark.parametrize(
    ("name", "value"),
    [("exposure_us", "99999"), ("source", "1"), ("exposure_us", "1\nsource"), ("nonsense", "1")],
)
def test_a_setting_out_of_range_or_not_a_technicians_changes_nothing(
    home: Home, name: str, value: str
) -> None:
    before = (home.path / "config.toml").read_bytes()
    with pytest.raises(UnitRefusedError):
        home.unit.set_camera(name, value)
    assert (home.path / "config.toml").read_bytes() == before


def test_the_clock_is_never_set_below_the_newest_signed_time(home: Home) -> None:
    floor_us, _ = home.unit.time_us()
    with pytest.raises(UnitRefusedError, match="later signed time"):
        home.unit.set_time(floor_us - 3_600_000_000)
    home.unit.set_time(floor_us + 3_600_000_000)
    assert home.machine.clock_us == floor_us + 3_600_000_000


@pytest.mark.parametrize("ahead_us", [DAY_US, 400 * DAY_US, 2**52])
def test_a_clock_that_knows_no_time_is_set_back_and_ends_no_persons_training(
    home: Home, ahead_us: int
) -> None:
    """If a battery clock starts in a wrong year, no grant would be valid, and no one could set it."""
    home.enroll()
    trained_300_days_ago(home)
    now_us, _ = home.unit.time_us()
    home.clock.lose_reference(TimeState.UNKNOWN)
    home.clock.step(now_us - NOW_US + ahead_us)
    us, error_us = home.unit.time_us()
    assert 0 <= us - now_us < MINUTE_US
    assert error_us > 0
    assert "t.okafor" not in home.unit.revoked()
    home.unit.set_time(now_us + HOUR_US)
    assert home.machine.clock_us == now_us + HOUR_US
    with pytest.raises(UnitRefusedError, match="later signed time"):
        home.unit.set_time(now_us - HOUR_US)


@pytest.mark.parametrize("state", [TimeState.UNKNOWN, TimeState.HOLDOVER])
def test_a_unit_born_ahead_counts_grants_and_trainings_by_the_departments_word(
    tmp_path: Path, state: TimeState
) -> None:
    """A battery clock a year ahead claims holdover, but its log has the department's time."""
    home = Home(tmp_path, born_us=NOW_US + 400 * DAY_US)
    home.enroll()
    trained_300_days_ago(home)
    home.clock.lose_reference(state)
    assert "t.okafor" in home.unit.revoked()
    home.ledger.store.time.hear(NOW_US, ClockState.DISCIPLINED, DEPARTMENT)
    us, error_us = home.unit.time_us()
    assert 0 <= us - NOW_US < MINUTE_US
    assert state is TimeState.UNKNOWN or error_us >= DAY_US  # then the length of a grant counts
    assert "t.okafor" not in home.unit.revoked()
    with pytest.raises(UnitRefusedError, match="later signed time"):
        home.unit.set_time(NOW_US - HOUR_US)
    home.unit.set_time(NOW_US + HOUR_US)
    assert home.machine.clock_us == NOW_US + HOUR_US
    home.clock.lose_reference(TimeState.HOLDOVER)
    home.clock.step(HOUR_US - 400 * DAY_US)
    us, error_us = home.unit.time_us()
    assert 0 <= us - NOW_US - HOUR_US < MINUTE_US
    assert error_us < DAY_US
    home.ledger.close()


def test_a_clock_that_was_set_by_hand_is_not_set_back_by_hand(home: Home) -> None:
    now_us, _ = home.unit.time_us()
    home.clock.lose_reference(TimeState.HOLDOVER)
    home.clock.step(400 * DAY_US)
    with pytest.raises(UnitRefusedError, match="only a network with time or a receiver"):
        home.unit.set_time(now_us + HOUR_US)


@pytest.mark.parametrize("days", [80 * 365, 400, -400])
def test_a_log_that_a_wrong_clock_opened_is_as_old_as_the_department_says(tmp_path: Path, days: int) -> None:
    """Once, today's grants were refused until 2106, and a previous log's grant destroyed this log's reads."""
    home = Home(tmp_path, born_us=NOW_US + days * DAY_US)
    with home.ledger.store.lock:
        time = home.ledger.store.time
        time.hear(NOW_US, ClockState.DISCIPLINED, DEPARTMENT)
        assert abs(home.unit.reset_obstacles().opened_us - NOW_US) < DAY_US
    home.ledger.close()
