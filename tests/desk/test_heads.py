"""The key service remembers every head, so lookups in the grace period cannot be removed later."""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import search
from desk_root import covered_by
from desk_twins import DAY_US, MINUTE_US, Department, open_department
from flipped import flip
from log_twins import Log
from waiting import until

from storage.cosigners import CosignerKey, Witnesses
from storage.errors import ForkedLogError, LedgerError
from sync.department.cli import main
from sync.department.content.opened_list import (
    DATABASE,
    OpenedCheck,
    OpenedList,
    list_file,
    parse_list,
    read_lines,
)
from sync.department.desk.due import OverdueForm
from sync.department.journal import check_log
from sync.department.journal.entries import WitnessAway, WitnessClaimed
from sync.department.journal.publisher import Publisher, WatchingWitness, WitnessLinks
from sync.department.journal.witness_link import AbsentWitness, FolderWitness, SizeConflictError, WitnessLink
from sync.department.journal.witness_server import WitnessFolder
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.open_desk import adopt_root
from sync.errors import LinkError
from sync.root_file import RootWitness

Tokens = Callable[[str], str]


def verdict(department: Department) -> check_log.LogReport:
    """What `department verify` finds, given the key service's list."""
    desk = department.desk
    listed = OpenedList(department.home.keys)
    lines = read_lines(listed.all_messages(), listed.public)
    listed.close()
    return check_log.check(
        desk.log.folder,
        desk.log.public,
        witnesses=desk.root.witnessing(),
        checkpoints=[department.witness.newest(desk.log.origin)],
        keys=desk.log.keys,
        opened=OpenedCheck(lines),
    )


def test_a_look_up_of_the_grace_cannot_be_taken_out(department: Department, tokens: Tokens) -> None:
    """Stop the witness, search, restore the earlier copy of the log, start the witness again."""
    token = tokens("comm1")
    search(department, token)
    folder = department.home.path / "desk"
    before = folder.parent / "before"
    department.desk.log.checkpoint()
    shutil.copytree(folder, before)
    department.witness.away = True
    made = [search(department, token).access for _ in range(3)]
    department.front.close()
    shutil.rmtree(folder)
    before.rename(folder)
    again = open_department(department.home.path.parent, department.clock, department.secrets)
    assert again.desk.log.size() <= made[0]
    comm = again.logon("comm1")
    with pytest.raises(DeskRefusal) as refused:
        search(again, comm)
    assert refused.value.code == "forked"
    while again.desk.log.size() < made[-1] + 8:  # grow past the place of what was cut off
        comm = again.logon("comm1")
        with pytest.raises(DeskRefusal) as refused:
            search(again, comm)
    assert refused.value.code == "forked"
    report = verdict(again)
    for entry in made:
        assert any(f"entry {entry}: the key service opened content" in one for one in report.problems)
    again.close()


def test_an_untouched_log_agrees_with_the_list(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    search(department, token)
    department.witness.away = True
    search(department, token)
    department.witness.away = False
    search(department, token)
    assert verdict(department).problems == ()


def test_after_the_grace_the_log_continues_where_it_was(department: Department, tokens: Tokens) -> None:
    token = tokens("comm1")
    department.witness.away = True
    assert search(department, token).unwitnessed
    department.witness.away = False
    assert not search(department, token).unwitnessed
    department.witness.away = True
    department.clock.step(5 * MINUTE_US)
    assert search(department, token).unwitnessed  # a new grace period, since the witness was there in between


def test_the_services_grace_outlives_its_restart(department: Department, tokens: Tokens) -> None:
    """Root restarts the key service again and again to make its grace period start over."""
    answer = search(department, tokens("comm1"))
    desk, query = department.desk, department.plate("8XYZ123")
    good = desk.covered(answer.access)
    department.witness.away = True
    size = desk.log.size()
    unsigned = replace(good, checkpoint=desk.log.signed_head(size), size=size)
    unsigned = replace(unsigned, inclusion=tuple(desk.log.inclusion(good.sequence, size)))
    day = [department.clock.us // DAY_US]
    department.front.door.tokens(unsigned, query, day)
    department.front.close()
    department.clock.step(16 * MINUTE_US)
    again = open_department(department.home.path.parent, department.clock, department.secrets)
    with pytest.raises(DeskRefusal) as refused:
        again.front.door.tokens(unsigned, query, day)
    assert refused.value.code == "witness-away"
    again.close()


def test_the_list_is_signed_in_a_chain(tmp_path: Path) -> None:
    listed = OpenedList(tmp_path)
    for number in range(5):
        listed.add_head(number + 1, bytes([number]) * 32, witnessed=number % 2 == 0, at_us=number)
        listed.add_opened(number, bytes([number]) * 32, witnessed=True, at_us=number)
        listed.add_opened(number, bytes([number]) * 32, witnessed=True, at_us=number + 1)  # listed once
    messages, public = listed.all_messages(), listed.public
    assert len(read_lines(messages, public)) == 1 + 10  # plus the line where the record of alerts begins
    assert parse_list(list_file(messages)) == messages
    written = tmp_path / "opened.list"
    assert main(["keys", "list", "--folder", str(tmp_path), "--out", str(written)]) == 0
    assert parse_list(written.read_bytes()) == messages  # while a service runs
    assert main(["keys", "list", "--folder", str(tmp_path / "none"), "--out", str(tmp_path / "x")]) == 2
    for bent in (
        messages[:3] + messages[4:],
        messages[1:],
        [*messages[:3], messages[4], messages[3], *messages[5:]],
        [*messages[:4], flip(messages[4]), *messages[5:]],
        [*messages, messages[0]],
    ):
        with pytest.raises(LedgerError, match="list, line"):
            read_lines(bent, public)
    with pytest.raises(LedgerError):
        read_lines(messages, Ed25519PrivateKey.generate().public_key())
    for data in (b"", b"\xff", list_file([])[:-1] + b"\x01"):
        with pytest.raises(LedgerError):
            parse_list(data)
    listed.close()
    again = OpenedList(tmp_path)
    assert again.newest() is not None
    assert again.public.public_bytes_raw() == public.public_bytes_raw()
    again.close()
    assert (tmp_path / DATABASE).stat().st_mode & 0o777 == 0o600


@pytest.mark.thorough
def test_ten_people_at_once_are_all_covered_and_share_the_witness(tmp_path: Path) -> None:
    """10 people x 100 answers: none falls into the grace period, and most share another's co-signature."""
    log = Log(tmp_path)

    def person(_number: int) -> int:
        covered = 0
        for _ in range(100):
            entry = log.add()
            covered += log.cover(entry) > entry
        return covered

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(person, range(10))) == 1000
    assert log.links[0].asked <= 1000
    log.close()


@pytest.mark.thorough
def test_ten_people_at_the_desk_get_no_answer_in_the_grace(department: Department) -> None:
    sessions = [department.logon(user) for user in ("comm1", "super", "disp1")]

    def person(number: int) -> int:
        return sum(search(department, sessions[number % 3]).unwitnessed for _ in range(5))

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(person, range(10))) == 0
    assert list(department.desk.log.entries(kinds=(WitnessAway.KIND,))) == []


def test_two_processes_that_publish_at_once_get_no_absence(tmp_path: Path) -> None:
    """The server and a command have separate publishers and separate records of the witness."""
    log = Log(tmp_path)
    other = Publisher(log.log, tmp_path)
    watcher = WatchingWitness(log.watchers[0].keys, log.links[0])

    def covered(publisher: Publisher, watchers: list[WatchingWitness]) -> int:
        done = 0
        for _ in range(50):
            entry = log.add()
            done += publisher.cover(entry, log.witnesses, watchers).size > entry
        return done

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(covered, log.publisher, log.watchers)
        second = pool.submit(covered, other, [watcher])
        assert first.result() + second.result() == 100
    other.close()
    log.close()


def test_a_witness_that_hangs_costs_one_time_out_a_minute(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.links[0].away = True
    entries = [log.add() for _ in range(8)]

    def refused(entry: int) -> bool:
        try:
            log.cover(entry)
        except LinkError:
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(refused, entries))
    assert log.links[0].asked == 1
    log.now += 59
    assert refused(entries[0])
    assert log.links[0].asked == 1
    log.now += 2
    log.links[0].away = False
    assert log.cover(entries[0]) > entries[-1]
    log.close()


@pytest.mark.parametrize("down", [(), (0,), (2,), (0, 1), (0, 1, 2)])
def test_a_quorum_is_enough_and_less_is_not(tmp_path: Path, down: tuple[int, ...]) -> None:
    log = Log(tmp_path, witnesses=3, quorum=2)
    for number in down:
        log.links[number].away = True
    entry = log.add()
    if len(down) <= 1:
        assert log.cover(entry) == entry + 1
        head = log.log.cosigned()[1]
        assert log.witnesses.witnessed(head) is not None
    else:
        with pytest.raises(LinkError, match="2 are needed"):
            log.cover(entry)
        assert log.log.cosigned() == (0, "")
    log.close()


@pytest.mark.parametrize("spoils", ["another's line", "its own line twice", "a line of no witness"])
def test_one_witness_cannot_spoil_the_answers_of_the_others(tmp_path: Path, spoils: str) -> None:
    """It adds to its own valid line another that would invalidate the note of all three."""
    log = Log(tmp_path, witnesses=3, quorum=2)
    honest, other = log.links[1].cosign, log.witnesses.keys[2][0]
    forged = {
        "another's line": f"— {other.name} {base64.b64encode(other.key_id + bytes(72)).decode()}\n",
        "its own line twice": "",
        "a line of no witness": f"— evil.example/9 {base64.b64encode(bytes(76)).decode()}\n" * 20,
    }[spoils]

    def cosign(old_size: int, proof: list[bytes], note: str) -> str:
        own = honest(old_size, proof, note)
        return forged + own * (9 if spoils == "its own line twice" else 1)

    log.links[1].cosign = cosign  # type: ignore[method-assign]
    log.links[0].away = True  # now the hostile one is needed for the quorum
    entry = log.add()
    assert log.cover(entry) == entry + 1
    _, head = log.log.cosigned()
    assert len(log.witnesses.cosignatures(head)) == 2
    log.close()


def test_one_witness_that_refuses_stops_the_answers_whatever_the_others_say(tmp_path: Path) -> None:
    log = Log(tmp_path, witnesses=3, quorum=3)
    log.links[1].forked = True
    for _ in range(3):  # nor does it count as away in the minute in which it is not asked
        with pytest.raises(ForkedLogError):
            log.cover(log.add())
    log.close()


def test_a_log_that_was_cut_off_is_refused_at_each_call_and_never_takes_its_witness_for_away(
    tmp_path: Path,
) -> None:
    """A witness that is away permits minutes of answers; a restored log once got them at the second call."""
    whole = Log(tmp_path / "whole", witnesses=1, quorum=1)
    for _ in range(5):
        whole.cover(whole.add())
    cut = Log(tmp_path / "cut", witnesses=1, quorum=1, key=whole.key)
    cut.witnesses = whole.witnesses
    cut.watchers = [WatchingWitness(whole.folders[0].keys, FolderWitness(whole.folders[0]))]
    for _ in range(6):  # below, at and beyond the witness's size
        entry = cut.add()
        with pytest.raises(ForkedLogError):
            cut.cover(entry)
    whole.close()
    cut.close()


def longer(log: Log) -> None:
    """The witness claims that it co-signed more entries than there are."""

    def cosign(old_size: int, proof: list[bytes], note: str) -> str:
        raise SizeConflictError(10_000)

    log.links[1].cosign = cosign  # type: ignore[method-assign]


def forked(log: Log) -> None:
    log.links[1].forked = True


def slow(log: Log) -> None:
    """The witness's claim comes after the others have signed."""
    signed = threading.Event()

    def cosign(old_size: int, proof: list[bytes], note: str) -> str:
        signed.wait(20)
        raise ForkedLogError("no continuation", where="witness")

    def after(honest: Callable[..., str]) -> Callable[..., str]:
        def cosigned(*asked: Any) -> str:
            try:
                return honest(*asked)
            finally:
                signed.set()

        return cosigned

    log.links[1].cosign = cosign  # type: ignore[method-assign]
    log.links[2].cosign = after(log.links[2].cosign)  # type: ignore[method-assign]


def test_a_witness_that_still_has_the_head_before_in_hand_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three were enough before; now one of these is away and the third is needed."""
    monkeypatch.setattr("sync.department.journal.publisher.SLOW_S", 60.0)
    log = Log(tmp_path, witnesses=3, quorum=2)
    begun, go_on = threading.Event(), threading.Event()
    honest = log.links[2].cosign

    def cosign(old_size: int, proof: list[bytes], note: str) -> str:
        begun.set()
        go_on.wait(60)
        return honest(old_size, proof, note)

    log.links[2].cosign = cosign  # type: ignore[method-assign]
    log.cover(log.add())
    assert begun.wait(60)
    log.links[2].cosign = honest  # type: ignore[method-assign]

    def refused(*asked: Any) -> str:
        go_on.set()
        raise LinkError("refused", where="witness")

    log.links[1].cosign = refused  # type: ignore[method-assign, assignment]
    assert log.cover(log.add()) == 2
    log.close()


@pytest.mark.parametrize("claims", [longer, forked, slow])
def test_a_witness_that_claims_and_shows_nothing_stops_no_answer_of_a_quorum(
    tmp_path: Path, claims: Callable[[Log], None]
) -> None:
    log = Log(tmp_path, witnesses=3, quorum=2)
    log.cover(log.add())
    until(lambda: all(one._size == log.log.size() for one in log.watchers))  # the third may still answer
    claims(log)
    said: list[tuple[str, str]] = []
    rounds = 0
    while rounds < 3 or (not said and rounds < 1000):  # a claim may come after the others' signatures
        covered = log.publisher.cover(log.add(), log.witnesses, log.watchers)
        assert covered.size == log.log.size()
        said += covered.claims
        rounds += 1
    assert {name for name, _ in said} == {"w1.example/1"}
    log.links[0].away, log.now = True, log.now + 61
    with pytest.raises(LinkError):  # no quorum: a claim without proof counts as absence, for the grace period
        log.cover(log.add())
    log.close()


def cover_some(log: Log) -> None:
    """Cover often enough to meet a claim that comes after the others' signatures."""
    for _ in range(2000):
        log.cover(log.add())
        log.now += 61


def test_where_half_of_the_witnesses_are_a_quorum_a_claim_stops_the_answers(tmp_path: Path) -> None:
    """The other half may be root's."""
    log = Log(tmp_path, witnesses=3, quorum=1)
    log.cover(log.add())
    forked(log)
    with pytest.raises(ForkedLogError, match=r"witness w1\.example/1"):
        cover_some(log)
    log.close()


@pytest.mark.parametrize("entries", [2, 8])
def test_a_claim_that_is_shown_stops_the_answers_against_a_quorum(tmp_path: Path, entries: int) -> None:
    """Two of three witnesses are root's and sign a shorter or longer log; the third has the true head."""
    true = Log(tmp_path / "true", witnesses=3, quorum=2)
    for _ in range(5):
        true.cover(true.add())
    shown = true.links[1].newest(true.log.origin)
    forged = Log(tmp_path / "forged", witnesses=3, quorum=2, key=true.key)
    for _ in range(entries):
        forged.add()
    forged.links[1].forked = True
    forged.links[1].newest = lambda origin: shown  # type: ignore[method-assign]
    with pytest.raises(ForkedLogError, match=r"witness w1\.example/1 shows"):
        cover_some(forged)
    true.close()
    forged.close()


def test_the_desk_continues_beside_a_witness_that_only_claims_and_reports_it(
    department: Department, tokens: Tokens, tmp_path: Path
) -> None:
    desk, folders = department.desk, []
    for number in range(3):
        folders.append(WitnessFolder.create(tmp_path / f"w{number}", f"w{number}.example/1"))
        folders[-1].add_log(desk.log.note_key)
    named = tuple(
        RootWitness(keys=tuple(one.text() for one in folder.keys), url=f"https://{folder.keys[0].name}")
        for folder in folders
    )
    root = department.new_root(witnesses=named, quorum=2)
    adopt_root(department.home, desk, root, desk.policy_document)
    links: dict[str, WitnessLink] = {
        one.url: FolderWitness(folder, department.clock) for one, folder in zip(named, folders, strict=True)
    }
    liar = links[named[1].url]
    liar.cosign = forks  # type: ignore[method-assign]
    desk._links = WitnessLinks(lambda one: links[one.url])
    comm1, chief = tokens("comm1"), department.logon("chief")
    for _ in range(4):
        assert not search(department, comm1).unwitnessed
    (claim,) = desk.log.entries(kinds=(WitnessClaimed.KIND,))  # one entry a day, not one per answer
    assert isinstance(claim.note, WitnessClaimed)
    assert (claim.note.witness, claim.note.claim) == ("w1.example/1", "no continuation")
    listed = department.call("compliance/overdue", chief, OverdueForm())
    (due,) = [one.what for one in listed if "w1.example/1" in one.what]  # type: ignore[attr-defined]
    assert "no continuation; the others co-sign this log" in due
    covered = covered_by(department)
    assert check_log.check(desk.log.folder, desk.log.public, keys=desk.log.keys, taken=covered).sound
    assert covered.claims == [f"entry {claim.sequence}: witness w1.example/1: no continuation"]
    links[named[0].url] = AbsentWitness()
    desk._links = WitnessLinks(lambda one: links[one.url])
    assert search(department, comm1).unwitnessed  # a claim without proof counts as absence, for the grace
    for folder in folders:
        folder.close()


def forks(old_size: int, proof: list[bytes], note: str) -> str:
    raise ForkedLogError("no continuation", where="witness")


def test_a_witness_that_was_away_catches_up_from_its_own_size(tmp_path: Path) -> None:
    log = Log(tmp_path, witnesses=3, quorum=2)
    log.links[2].away = True
    for _ in range(5):
        log.cover(log.add())
    log.links[2].away, log.links[0].away = False, True
    log.now += 61
    entry = log.add()
    assert log.cover(entry) == entry + 1
    log.close()


def test_an_answer_with_another_keys_signature_is_not_a_cosignature(tmp_path: Path) -> None:
    log = Log(tmp_path)
    stranger = CosignerKey.of("w0.example/1", Ed25519PrivateKey.generate())
    watcher = WatchingWitness((stranger,), log.links[0])
    entry = log.add()
    with pytest.raises(LinkError, match="not co-signed"):
        log.publisher.cover(entry, Witnesses(((stranger,),), 1), [watcher])
    log.close()
