"""The limits of a grant: nothing beyond them is signed or accepted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from firmware.cli import main
from firmware.console.challenge import LIFE_S, NAMESPACE, Challenge, ChallengeAnswer, check_holder
from firmware.console.errors import LineRefusedError, LoginRefusedError
from storage import ssh_signature
from storage.codec import from_bytes, to_bytes
from storage.envelope import sign
from storage.errors import RecordError
from storage.grant_format import (
    DEPARTMENT,
    GRANT_CONTEXT,
    Bundle,
    Delegation,
    ForgedGrantError,
    Grant,
    GrantLimitError,
    GrantRole,
    GrantTimeError,
    WrongUnitError,
    check_reset_units,
    check_time,
    check_unit,
    delegate,
    issue,
    latest_us,
    open_bundle,
    revocable,
)
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, HOUR_US

Bench = Any  # tests/console/conftest.py
NOW_US = 1_777_777_777_000_000


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"to_us": NOW_US + 400 * DAY_US}, GrantLimitError, id="longer than training lasts"),
        pytest.param(
            {"role": GrantRole.VENDOR, "to_us": NOW_US + 20 * DAY_US}, GrantLimitError, id="vendor for weeks"
        ),
        pytest.param({"commands": ("query",)}, GrantLimitError, id="an unknown command"),
        pytest.param({"commands": ("export", "status")}, GrantLimitError, id="an export"),
        pytest.param({"commands": ()}, GrantLimitError, id="no command"),
        pytest.param(
            {"commands": ("status",), "destroy_up_to": 4}, GrantLimitError, id="reads named without a reset"
        ),
        pytest.param({"holder_key": b"ssh-rsa"}, RecordError, id="a key of another kind"),
        pytest.param({"person": "two words"}, RecordError, id="a name with a space"),
        pytest.param({"grant_id": "00112233"}, RecordError, id="a short id"),
        pytest.param({"grant_id": "Z" * 32}, RecordError, id="an id that is not hexadecimal"),
        pytest.param({"purpose": ""}, RecordError, id="no purpose"),
        pytest.param({"work_order": "WO\x1b[2J"}, RecordError, id="a control sequence"),
        pytest.param({"units": ()}, RecordError, id="no unit"),
        pytest.param({"from_us": NOW_US, "to_us": NOW_US}, RecordError, id="no time"),
        pytest.param({"format": 2}, RecordError, id="another format"),
    ],
)  # fmt: skip
def test_nothing_beyond_the_limits_is_signed_or_believed(
    office: Any, changes: dict[str, Any], error: type[Exception]
) -> None:
    grant = office.grant(**changes)
    with pytest.raises(error):
        issue(grant, office.command_key)
    smuggled = Bundle(grant=sign(to_bytes(grant), office.command_key, context=GRANT_CONTEXT), delegation=None)
    with pytest.raises((GrantLimitError, ForgedGrantError)):
        open_bundle(smuggled, [office.command_key.public_key()])


@pytest.mark.parametrize(
    ("commands", "named"),
    [((), "none given"), (("query",), "query"), (("status", "query", "export"), "export, query")],
)
def test_a_grant_with_no_good_command_is_refused_by_their_names(
    office: Any, commands: tuple[str, ...], named: str
) -> None:
    with pytest.raises(GrantLimitError, match=f"no console command: {named}$"):
        issue(office.grant(commands=commands), office.command_key)


def designee(office: Any, **changes: Any) -> tuple[ed25519.Ed25519PrivateKey, bytes]:
    key = ed25519.Ed25519PrivateKey.generate()
    lent = Delegation(
        format=1, designee="sgt.night", public_key=key.public_key().public_bytes_raw(),
        from_us=NOW_US - DAY_US, to_us=NOW_US + DAY_US,
    )  # fmt: skip
    return key, delegate(replace(lent, **changes), office.command_key)


NIGHT = {"from_us": NOW_US - HOUR_US, "to_us": NOW_US + 3 * HOUR_US, "issued_us": NOW_US - HOUR_US}


def test_a_designee_signs_four_hours_of_repair_at_night(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    key, lent = designee(bench.office)
    grant = bench.office.grant(**NIGHT, commands=("status", "selftest", "reboot"), role=GrantRole.VENDOR)
    bench.hands.wait_for("unit-7> ")
    bench.hands.log_in(issue(grant, key, delegation=lent), bench.office.holder)
    bench.hands.wait_for("unit-7 t.okafor> ")
    assert "skipped" in bench.ask("selftest")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"to_us": NOW_US + 4 * HOUR_US}, id="five hours"),
        pytest.param({"commands": ("factory-reset",)}, id="a factory reset"),
        pytest.param({"commands": ("status", "update")}, id="an update"),
        pytest.param({"issued_us": NOW_US - 2 * DAY_US}, id="signed before the delegation began"),
        pytest.param({"issued_us": NOW_US + 2 * DAY_US}, id="signed after the delegation ended"),
    ],
)
def test_a_designee_gives_nothing_more(office: Any, changes: dict[str, Any]) -> None:
    key, lent = designee(office)
    grant = office.grant(**NIGHT | {"commands": ("status",)} | changes)
    smuggled = Bundle(grant=sign(to_bytes(grant), key, context=GRANT_CONTEXT), delegation=lent)
    with pytest.raises(GrantLimitError):
        open_bundle(smuggled, [office.command_key.public_key()])


@pytest.mark.parametrize("under_way", [False, True], ids=["before the login", "in the session"])
@pytest.mark.parametrize("named", ["person", "key"])
def test_what_a_designee_signed_ends_with_the_designee(
    make_bench: Callable[..., Bench], named: str, under_way: bool
) -> None:
    bench = make_bench()
    key, lent = designee(bench.office)
    taken_back = "sgt.night" if named == "person" else SshPublicKey.of(key).fingerprint
    bench.hands.wait_for("unit-7> ")
    if not under_way:
        bench.unit.taken_back.add(taken_back)
    bundle = issue(bench.office.grant(**NIGHT, commands=("status",)), key, delegation=lent)
    bench.hands.log_in(bundle, bench.office.holder)
    if under_way:
        bench.hands.wait_for("unit-7 t.okafor> ")
        bench.unit.taken_back.add(taken_back)
        bench.running.now_s += 6
    bench.hands.wait_for("was revoked")


def test_a_designees_key_without_its_delegation_signs_nothing(office: Any) -> None:
    key, _ = designee(office)
    with pytest.raises(ForgedGrantError):
        open_bundle(issue(office.grant(**NIGHT), key), [office.command_key.public_key()])


def test_a_grant_file_is_read_as_it_was_written(office: Any, tmp_path: Path) -> None:
    bundle = office.bundle()
    file = tmp_path / "grant"
    file.write_bytes(bundle.to_bytes())
    again = Bundle.parse(file.read_bytes())
    assert again == bundle
    assert open_bundle(again, [office.command_key.public_key()]) == office.grant()
    assert from_bytes(Grant, to_bytes(office.grant())) == office.grant()


def test_a_grant_file_with_impossible_times_is_shown_all_the_same(
    office: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "odd.grant"
    file.write_bytes(office.bundle(from_us=1 << 62, to_us=(1 << 62) + 1).to_bytes())
    assert main(["grant", "--grant", str(file)]) == 0
    assert "no date (4611686018427387904 us)" in capsys.readouterr().out


@pytest.mark.parametrize("own", [True, False])
def test_a_challenge_is_answered_with_the_grants_own_key_alone(
    office: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], own: bool
) -> None:
    """Another key's answer counts as a failed login, and five of them lock all people out."""
    file, key = tmp_path / "wo.grant", tmp_path / "key"
    file.write_bytes(office.bundle().to_bytes())
    private = office.holder if own else ed25519.Ed25519PrivateKey.generate()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    key.write_bytes(private.private_bytes(*form))
    key.chmod(0o600)
    asked = Challenge.ask("unit-7", 0.0).text
    status = main(["grant", "--grant", str(file), "--key", str(key), asked])
    said = capsys.readouterr()
    assert (status, bool(said.out)) == ((0, True) if own else (2, False))
    assert (SshPublicKey.of(office.holder).fingerprint in said.err) is not own


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_damaged_grant_file_says_what_to_do(office: Any, cut: int) -> None:
    with pytest.raises(ForgedGrantError, match="ask for it again"):
        Bundle.parse(office.bundle().to_bytes()[:cut] + b"\xff")


@pytest.mark.parametrize(
    ("hours", "to_us", "ends_us"),
    [
        pytest.param(-1, -1, 365 * DAY_US, id="neither is said: as the role has it"),
        pytest.param(None, -1, 365 * DAY_US, id="no hours and no time: as the role has it"),
        pytest.param(None, 5 * HOUR_US, 5 * HOUR_US, id="no hours, only a time"),
        pytest.param(-1, 0, 0, id="a time that is over"),
        pytest.param(-1, 5 * HOUR_US, 5 * HOUR_US, id="only a time"),
        pytest.param(0, -1, 0, id="no hours at all"),
        pytest.param(8, -1, 8 * HOUR_US, id="only hours"),
        pytest.param(8, 5 * HOUR_US, 5 * HOUR_US, id="the time comes first"),
        pytest.param(8, 9 * HOUR_US, 8 * HOUR_US, id="the hours end first"),
        pytest.param(8, 0, 0, id="hours, and a time that is over"),
    ],
)
def test_a_grant_ends_by_its_hours_and_by_its_time(hours: int | None, to_us: int, ends_us: int) -> None:
    assert latest_us(GrantRole.TECHNICIAN, 0, hours, to_us) == ends_us


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"from_us": NOW_US, "to_us": NOW_US}, "must run forward", id="no time"),
        pytest.param({"format": 2}, "malformed", id="another format"),
        pytest.param({"public_key": bytes(31)}, "malformed", id="a short key"),
        pytest.param({"designee": "two words"}, "malformed", id="a name with a space"),
    ],
)
def test_no_delegation_beyond_its_limits_is_signed(office: Any, changes: dict[str, Any], error: str) -> None:
    with pytest.raises(RecordError, match=error):
        designee(office, **changes)


@pytest.mark.parametrize("units", [("unit-7",), (DEPARTMENT,), ("unit-7", DEPARTMENT)])
@pytest.mark.parametrize("commands", [("status",), ("factory-reset", "status")])
def test_only_a_factory_reset_at_the_server_is_left_out(
    office: Any, units: tuple[str, ...], commands: tuple[str, ...]
) -> None:
    grant = office.grant(units=units, commands=commands)
    if DEPARTMENT in units and "factory-reset" in commands:
        with pytest.raises(GrantLimitError, match="no factory-reset"):
            check_reset_units(grant)
    else:
        check_reset_units(grant)


FROM = {"from_us": NOW_US, "issued_us": NOW_US}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({**FROM, "to_us": NOW_US + 366 * DAY_US}, {**FROM, "to_us": NOW_US + 366 * DAY_US + 1}),
        ({"issued_us": 1}, {"issued_us": 0}),
        ({"purpose": "x"}, {"purpose": ""}),
        ({"purpose": "x" * 120}, {"purpose": "x" * 121}),
    ],
    ids=["length", "time of issue", "shortest text", "longest text"],
)
def test_a_limit_is_where_the_documentation_puts_it(
    office: Any, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    issue(office.grant(**good), office.command_key)
    with pytest.raises((GrantLimitError, RecordError)):
        issue(office.grant(**bad), office.command_key)


@pytest.mark.parametrize("changes", [{"commands": ("factory-reset",)}, {"to_us": NOW_US + 4 * HOUR_US}])
def test_nothing_beyond_a_designees_limits_is_signed(office: Any, changes: dict[str, Any]) -> None:
    key, lent = designee(office)
    grant = office.grant(**NIGHT | {"commands": ("status",)})
    issue(grant, key, delegation=lent)
    with pytest.raises(GrantLimitError):
        issue(replace(grant, **changes), key, delegation=lent)


def test_a_grant_holds_through_its_last_microsecond(office: Any) -> None:
    grant = office.grant()
    check_time(grant, grant.to_us - 5, 5)
    with pytest.raises(GrantTimeError, match="may have ended"):
        check_time(grant, grant.to_us - 5, 6)


def test_the_check_of_a_challenge_is_crc_16_xmodem() -> None:
    text = Challenge(unit="unit-7", nonce=bytes(range(16))).text
    assert text.rpartition(":")[2] == f"{crc_16_xmodem(text.rpartition(':')[0].encode()):04x}"


def crc_16_xmodem(data: bytes) -> int:
    """Polynomial 0x1021, initial value 0, nothing reflected."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"units": ("u",) * 500}, {"units": ("u",) * 501}),
        ({"units": ("u" * 64,)}, {"units": ("unit-7", "u" * 65)}),
        ({"person": "p" * 64}, {"person": "p" * 65}),
        ({"organisation": "o" * 120}, {"organisation": "o" * 121}),
        ({"work_order": "w"}, {"work_order": ""}),
        ({"destroy_holds": (1,) * 500}, {"destroy_holds": (1,) * 501}),
        ({"destroy_up_to": 1}, {"destroy_up_to": -1}),
        ({"destroy_log": "ab" * 8, "format": 2}, {"destroy_log": "ab" * 7 + "c", "format": 2}),
        ({"destroy_log": "ab" * 32, "format": 2}, {"destroy_log": "ab" * 32 + "c", "format": 2}),
        ({"destroy_log": "0123456789abcdef", "format": 2}, {"destroy_log": "0123456789abcdef", "format": 1}),
        ({}, {"destroy_log": "ABCDEF0123456789", "format": 2}),
        ({}, {"destroy_log": "0123456789abcdef", "format": 2, "commands": ("status",)}),
        ({"destroy_up_to": 0, "commands": ("status",)}, {"destroy_holds": (1,), "commands": ("status",)}),
        ({"to_us": NOW_US + 5, "from_us": NOW_US + 4}, {"to_us": NOW_US + 4, "from_us": NOW_US + 5}),
        (
            {**FROM, "role": GrantRole.VENDOR, "to_us": NOW_US + 14 * DAY_US},
            {**FROM, "role": GrantRole.VENDOR, "to_us": NOW_US + 14 * DAY_US + 1},
        ),
    ],
)
def test_each_field_of_a_grant_has_its_limit(office: Any, good: dict[str, Any], bad: dict[str, Any]) -> None:
    usual = {"commands": ("status", "factory-reset")}
    issue(office.grant(**usual | good), office.command_key)
    with pytest.raises((GrantLimitError, RecordError)):
        issue(office.grant(**usual | bad), office.command_key)


TO_US = NOW_US + 2 * HOUR_US


@pytest.mark.parametrize(
    ("now_us", "error_us", "issued_us", "error"),
    [
        (NOW_US, 0, NOW_US, None),
        (NOW_US - 1, 0, NOW_US - 1, "begins at"),
        (NOW_US - 9, 9, NOW_US - 9, None),
        (NOW_US - 9, 8, NOW_US - 9, "begins at"),
        (NOW_US - 9, 0, NOW_US, None),  # issued since then, whatever the clock says
        (TO_US, 0, NOW_US, None),
        (TO_US + 1, 0, NOW_US, "has ended .ask the administrator"),
        (TO_US, 1, NOW_US, "may have ended: this clock"),
        (TO_US, DAY_US - 1, NOW_US, "may have ended: this clock"),
        (TO_US, DAY_US, NOW_US, None),
        (TO_US + 1, DAY_US, NOW_US, "has ended .ask the administrator"),
    ],
)
def test_an_uncertain_clock_never_lengthens_a_grant(
    office: Any, now_us: int, error_us: int, issued_us: int, error: str | None
) -> None:
    grant = office.grant(from_us=NOW_US, to_us=TO_US, issued_us=issued_us)
    if error is None:
        check_time(grant, now_us, error_us)
        return
    with pytest.raises(GrantTimeError, match=error):
        check_time(grant, now_us, error_us)


LENT = {"from_us": NOW_US, "to_us": NOW_US + HOUR_US}


@pytest.mark.parametrize(
    ("issued_us", "to_us", "good"),
    [
        (NOW_US, NOW_US + HOUR_US, True),
        (NOW_US - 1, NOW_US + HOUR_US, False),
        (NOW_US + HOUR_US, NOW_US + 5 * HOUR_US, True),
        (NOW_US + HOUR_US + 1, NOW_US + 5 * HOUR_US, False),
        (NOW_US + HOUR_US, NOW_US + 5 * HOUR_US + 1, False),
    ],
)
def test_a_designees_grant_is_of_the_designees_time(
    office: Any, issued_us: int, to_us: int, good: bool
) -> None:
    key, lent = designee(office, **LENT)
    grant = office.grant(commands=("status",), issued_us=issued_us, from_us=to_us - 4 * HOUR_US, to_us=to_us)
    bundle = Bundle(grant=sign(to_bytes(grant), key, context=GRANT_CONTEXT), delegation=lent)
    if good:
        assert open_bundle(bundle, [office.command_key.public_key()]) == grant
        fingerprints = {grant.holder.fingerprint, SshPublicKey.of(key).fingerprint}
        assert revocable(bundle, grant) == {grant.grant_id, grant.person, "sgt.night"} | fingerprints
        return
    with pytest.raises(GrantLimitError, match="outside the designee's own time"):
        open_bundle(bundle, [office.command_key.public_key()])


@pytest.mark.parametrize(
    ("after_s", "good"), [(0.0, True), (LIFE_S, True), (LIFE_S + 1, False), (-1.0, False)]
)
def test_a_challenge_is_answered_within_its_minutes(office: Any, after_s: float, good: bool) -> None:
    bundle, grant = office.bundle(), office.grant()
    challenge = Challenge(unit="unit-7", nonce=bytes(20), asked_s=100.0)
    signature = ssh_signature.sign(challenge.message(bundle), office.holder, namespace=NAMESPACE)
    answer = ChallengeAnswer(bundle=bundle.to_bytes(), signature=signature)
    if good:
        check_holder(answer, bundle, grant, challenge, 100.0 + after_s)
        return
    with pytest.raises(LoginRefusedError, match="too old"):
        check_holder(answer, bundle, grant, challenge, 100.0 + after_s)


def test_a_challenge_is_read_as_it_was_shown() -> None:
    asked = Challenge.ask("unit-7", 5.0)
    assert Challenge.parse(f" {asked.text}\n") == replace(asked, asked_s=0.0)
    assert len(asked.nonce) == 20
    for wrong in (asked.text[:-1], asked.text.replace("unit-7", "unit-8"), asked.text + "0", "unit-7"):
        with pytest.raises(LineRefusedError, match="not a challenge, or mistyped"):
            Challenge.parse(wrong)


def test_a_grant_file_has_16_kib_at_most() -> None:
    frame = len(Bundle(grant=bytes(1 << 12), delegation=None).to_bytes()) - (1 << 12)
    most = Bundle(grant=bytes(16 * 1024 - frame), delegation=None)
    assert Bundle.parse(most.to_bytes()) == most
    with pytest.raises(ForgedGrantError, match="16385 bytes where at most 16384"):
        Bundle.parse(Bundle(grant=bytes(16 * 1024 - frame + 1), delegation=None).to_bytes())


def test_an_answer_has_12_kib_at_most(office: Any) -> None:
    frame = len(ChallengeAnswer(bundle=bytes(1 << 13), signature=b"").to_bytes()) - (1 << 13)
    most = ChallengeAnswer(bundle=bytes(12 * 1024 - frame), signature=b"")
    assert ChallengeAnswer.parse(most.to_bytes()) == most
    with pytest.raises(LoginRefusedError, match="12289 bytes where at most 12288"):
        ChallengeAnswer.parse(ChallengeAnswer(bundle=bytes(12 * 1024 - frame + 1), signature=b"").to_bytes())


def test_the_refusal_of_another_unit_names_the_first_five_of_a_grant(office: Any) -> None:
    grant = office.grant(units=tuple(f"unit-{at}" for at in range(6)))
    check_unit(grant, "unit-5")
    with pytest.raises(WrongUnitError) as refused:
        check_unit(grant, "unit-9")
    assert refused.value.what == "this is unit-9; the grant names unit-0, unit-1, unit-2, unit-3, unit-4"


def test_a_grant_that_names_no_log_has_the_bytes_that_it_always_had(office: Any) -> None:
    """So its digest in the department's and the unit's log stays the same."""
    grant = office.grant()
    assert b"destroy_log" not in to_bytes(grant)
    assert from_bytes(Grant, to_bytes(grant)) == grant
    named = office.grant(destroy_log="0123456789abcdef", format=2)
    assert from_bytes(Grant, to_bytes(named)) == named
