"""The store on PostgreSQL: partitions by day of receipt, COPY, purging by dropping a partition."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from desk_server import serving
from flipped import flip
from postgres_twin import Clock, binaries, empty, postgres_cluster
from receiver_twins import Joined
from sqlalchemy import func, select, text
from structlog.testing import capture_logs
from sync_twins import LoopbackLink, bare_home, checked, converse
from waiting import PATIENCE_S

from storage.times import DAY_US, now_us
from sync import messages
from sync.department.content.key_service import LocalKeyService
from sync.department.content.search_tokens import StoredElement
from sync.department.ground.department_time import Clocks
from sync.department.server import verify
from sync.department.server.asked_keys import AskedKeys
from sync.department.server.purged_since import PurgedSince
from sync.department.server.retention import AnyReceipt
from sync.department.server.server import Department
from sync.department.server.verify import Checker
from sync.department.store import database, incidents, joined_units, unit_logs
from sync.department.store.database import Store
from sync.department.store.joined_units import JoinedUnit
from sync.department.store.opening import open_store
from sync.department.store.tables import elements, metadata, tokens
from sync.department.units.http_app import unit_app
from sync.errors import (
    BatchRefusedError,
    HomeError,
    InvalidInputError,
    KeyServiceError,
    LinkError,
    RefusedByDepartmentError,
    StoreAwayError,
    StoreError,
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres_cluster() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def department(url: str, tmp_path: Path, clock: Clock) -> Iterator[Department]:
    empty(url)
    made = Department(bare_home(tmp_path / "department", database=url), Clocks.simulated(clock))
    yield made
    made.close()


def partitions(department: Department) -> set[str]:
    query = text("SELECT inhrelid::regclass::text FROM pg_inherits")
    with department.store.read() as connection:
        return {row[0] for row in connection.execute(query) if not row[0].endswith("_pkey")}


def count(department: Department, table: object) -> int:
    with department.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


@pytest.mark.one_python
def test_a_conversation_arrives_whole_and_once(department: Department, unit: Joined) -> None:
    reads = unit.add(12, size=5000)
    link = LoopbackLink(department)
    sent: list[tuple[str, bytes]] = []
    link.before = lambda name, data: sent.append((name, data)) or data  # type: ignore[func-returns-value]
    made = converse(unit, department, link)
    assert made.done
    assert count(department, tokens) == len(reads)
    today = now_us() // DAY_US
    assert isinstance(department.keys, LocalKeyService)
    wanted = department.keys.tokens("test", "7XKR219", [today - 1, today])  # in case midnight has passed
    with department.store.read() as connection:
        found = unit_logs.reads_by_token(connection, wanted)
    assert sorted(row[2] for row in found) == reads
    before = count(department, elements)
    for name, data in sent:
        if name in {"leaves", "parcel"}:
            department.receiver.answer(name, data)
    assert count(department, elements) == before
    assert checked(department.home).problems == []


@pytest.mark.thorough
@pytest.mark.one_python
def test_tokens_that_are_gone_exchanged_or_of_no_read_are_named(department: Department, unit: Joined) -> None:
    unit.add(3)
    converse(unit, department)
    assert checked(department.home).problems == []
    with department.store.read() as connection:
        rows = connection.execute(select(tokens).order_by(tokens.c.sequence)).all()
    with department.store.write() as connection:
        connection.execute(tokens.delete().where(tokens.c.sequence == rows[0].sequence))
        swapped = tokens.c.sequence == rows[1].sequence
        connection.execute(tokens.update().where(swapped).values(token=bytes(16)))
        astray = dict(rows[2]._mapping) | {"sequence": 1 << 20}
        connection.execute(tokens.insert().values(astray))
    found = [one.partition(", record ")[2] for one in checked(department.home).problems]
    assert sorted(found) == [
        f"{1 << 20}: a search token without its text",
        f"{rows[0].sequence}, text: its search token is not here: no exact search finds it",
        f"{rows[1].sequence}, text: its search token is not its own: no exact search finds it",
    ]


@pytest.mark.one_python
def test_a_day_of_receipt_is_a_partition_and_a_purge_drops_it(
    department: Department, unit: Joined, clock: Clock
) -> None:
    unit.add(3)
    converse(unit, department)
    day = department.time.now_us() // DAY_US
    assert {f"elements_{day}", f"tokens_{day}"} <= partitions(department)
    clock.us += 2 * DAY_US
    unit.add(2)
    converse(unit, department)
    clock.us += 365 * DAY_US
    (receipt,) = department.retention.run()
    assert receipt.day == day
    assert partitions(department) == {f"elements_{day + 2}", f"tokens_{day + 2}"}
    assert checked(department.home).problems == []


@pytest.mark.one_python
def test_a_check_of_hours_sees_the_store_as_it_was_at_its_beginning(
    department: Department, unit: Joined
) -> None:
    """Else it compares the log of its beginning with units and documents that came meanwhile."""
    unit.add(2)
    assert converse(unit, department).done
    with department.store.snapshot() as check:
        before = check.execute(select(elements)).all()
        unit.add(2)
        assert converse(unit, department).done
        assert check.execute(select(elements)).all() == before
    with department.store.snapshot() as check:
        assert len(check.execute(select(elements)).all()) > len(before)


@pytest.mark.one_python
def test_a_unit_that_joins_between_two_queries_of_a_check_is_not_half_there(
    department: Department, unit: Joined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert converse(unit, department).done
    usual, unit_id = joined_units.joined, unit.folder.member().unit_id
    with contextlib.ExitStack() as later:

        def joined(connection: sa.Connection) -> list[JoinedUnit]:
            found = usual(connection)
            one = later.enter_context(contextlib.closing(Joined(tmp_path / "later", department, "car 13")))
            assert converse(one, department).done
            return found

        monkeypatch.setattr(joined_units, "joined", joined)
        public = department.home.log_key().public_key()
        report = Checker(department.store, department.keys, department.packs, public).run(content=False)
    assert [one.unit_id for one in report.reported.units] == [unit_id]
    assert [of for _, of, _ in report.reported.logs] == [unit_id]
    assert report.problems == []


@pytest.mark.one_python
def test_a_new_day_waits_only_briefly_for_a_table_that_another_program_locks(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others would wait behind it."""
    monkeypatch.setattr(database, "PARTITION_LOCK_MS", 300)
    day = department.time.now_us() // DAY_US + 3
    with department.store.engine.connect() as other:
        other.execute(text("LOCK TABLE elements IN SHARE UPDATE EXCLUSIVE MODE"))
        released = threading.Timer(PATIENCE_S, other.rollback)  # what waits for it without end, succeeds
        released.start()
        with pytest.raises(StoreAwayError, match="lock timeout"):
            department.store.open_day(day)
        released.cancel()
    department.store.open_day(day)
    assert f"elements_{day}" in partitions(department)


@pytest.mark.one_python
def test_a_long_read_of_the_database_stops_neither_units_nor_the_destruction_of_a_days_key(
    department: Department, unit: Joined, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup or a check holds every table for hours. All others would wait behind a purge that waits."""
    monkeypatch.setattr(database, "PARTITION_LOCK_MS", 300)
    unit.add(3)
    converse(unit, department)
    day = department.time.now_us() // DAY_US
    clock.us += 366 * DAY_US
    unit.add(1)
    assert converse(unit, department).done  # its day has its partitions
    whole = department.retention.counted(day)
    with department.store.read() as backup:
        backup.execute(select(elements)).all()
        with pytest.raises(StoreAwayError, match="lock timeout") as refused:
            department.retention.run()
        assert "a backup or another long read holds a table" in str(refused.value)
        assert not department.keys.has_store_key(day)
        unit.add(1)
        assert converse(unit, department).done
        clock.us += DAY_US
        unit.add(1)
        assert converse(unit, department).done  # a new day begins beside it
    assert f"elements_{day}" in partitions(department)
    (receipt,) = department.retention.run()
    assert (receipt.day, receipt.records, receipt.elements) == (day, *whole)
    assert not {f"elements_{day}", f"tokens_{day}"} & partitions(department)
    assert checked(department.home).problems == []


@pytest.mark.one_python
def test_a_check_stops_no_purge_and_no_new_day(
    department: Department, unit: Joined, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes hours. What a purge in the middle took away is not missed, and what it left is checked."""
    unit.add(3)
    converse(unit, department)
    day = department.time.now_us() // DAY_US
    clock.us += 366 * DAY_US
    unit.add(4)
    converse(unit, department)
    public, since = department.home.log_key().public_key(), PurgedSince(department.store, 365, clock)
    usual, purged = Store.let_others, list[AnyReceipt]()

    def let_others(store: Store, connection: sa.Connection) -> None:
        usual(store, connection)
        if not purged:
            purged.extend(department.retention.run())
            clock.us += DAY_US
            unit.add(1)
            assert converse(unit, department).done

    monkeypatch.setattr(Store, "let_others", let_others)
    monkeypatch.setattr(verify, "AT_ONCE", 4)
    keys = AskedKeys(department.keys, since.has)
    report = Checker(department.store, keys, department.packs, public, purged=since.has).run()
    assert [one.day for one in purged] == [day]
    assert report.problems == []
    assert checked(department.home).problems == []


def test_a_store_that_was_restored_under_a_running_server_makes_its_partitions_again(
    department: Department, unit: Joined
) -> None:
    unit.add(1)
    assert converse(unit, department).done
    gone = partitions(department)
    with department.store.write() as connection:
        for name in sorted(gone):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    unit.add(1)
    with pytest.raises(LinkError, match="cannot store now: keep everything, try later"):
        converse(unit, department)
    assert converse(unit, department).done
    assert partitions(department) == gone


@pytest.mark.one_python
def test_a_refused_batch_leaves_nothing_behind(department: Department, unit: Joined) -> None:
    unit.add(2)
    link = LoopbackLink(department)
    link.before = lambda name, data: flip(data) if name == "leaves" else data
    with pytest.raises(RefusedByDepartmentError, match="signature"):
        converse(unit, department, link)
    assert converse(unit, department).done


def test_the_migrations_make_the_tables_that_the_code_knows(department: Department) -> None:
    with department.store.read() as connection:
        query = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        made = {row[0] for row in connection.execute(query)}
    assert set(metadata.tables) <= made


@pytest.mark.one_python
def test_an_empty_database_in_place_of_the_departments_is_refused_and_stays_empty(
    url: str, tmp_path: Path
) -> None:
    empty(url)
    home = bare_home(tmp_path / "department", database=url)
    Department(home).close()
    empty(url)
    for changes in (True, False):
        with pytest.raises(HomeError, match="has no table of a department"):
            Department(home, changes=changes)
    with contextlib.closing(open_store(url, migrate=False)) as store, store.read() as connection:
        assert sa.inspect(connection).get_table_names() == []


@pytest.mark.parametrize("bad", ["mysql://x/y", "no url", "postgresql+nosuch://x/y"])
def test_another_database_is_refused_with_its_setting(bad: str) -> None:
    with pytest.raises(InvalidInputError, match="database"):
        open_store(bad)


@pytest.mark.one_python
def test_an_incident_is_kept_although_its_batch_is_not(department: Department, unit: Joined) -> None:
    unit.add(2)
    converse(unit, department)
    unit.ledger.store.db.conn.execute(
        "UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE sequence = 1) WHERE sequence = 2"
    )
    unit.add(1)
    held = unit.outbox.size()
    assert held > 3

    link = LoopbackLink(department)

    real = unit.outbox.leaves(0, held)
    batch = messages.LeafBatch(
        log_id=unit.outbox.log_id, first=0, leaves=tuple(real), checkpoint=unit.outbox.head(), proof=()
    )
    with pytest.raises(BatchRefusedError):
        link.post("leaves", [messages.seal_message(batch, unit.outbox.sign)])
    with department.store.read() as connection:
        assert [one.kind for one in incidents.listed(connection)] == ["fork"]


def cut_all(url: str) -> int:
    """End every connection to the database, as its restart does. Returns how many were open."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with engine.connect() as connection:
        return len(connection.execute(text(f"{ended} AND backend_type = 'client backend'")).all())


@pytest.mark.one_python
def test_the_first_call_after_the_databases_restart_succeeds(
    department: Department, unit: Joined, url: str
) -> None:
    unit.add(2)
    assert converse(unit, department).done
    assert cut_all(url)
    unit.add(1)
    assert converse(unit, department).done
    assert cut_all(url)
    assert checked(department.home).problems == []
    assert [one.name for one in department.enrollment.listed()] == ["unit"]


def test_a_role_that_the_database_refuses_is_not_a_database_that_is_away(url: str) -> None:
    with pytest.raises(StoreAwayError, match="compare database, role"):
        open_store(url.replace("alpr@", "nobody@"))


def test_a_full_disk_and_a_lost_connection_of_copy_end_with_what_to_do(
    department: Department, url: str
) -> None:
    from psycopg.errors import DiskFull

    def cut_short() -> None:
        with department.store.write() as connection:
            cut_all(url)
            department.store.add_rows(connection, tokens, [(1, 1, bytes(16), 1)])

    with pytest.raises(StoreAwayError, match="is the database running"):
        cut_short()
    with pytest.raises(StoreAwayError, match="the disk is full"), department.store.write():
        raise DiskFull("could not extend file")


def test_an_answer_that_fails_names_the_causes_kinds_and_no_value(
    department: Department, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(_name: str, _data: bytes) -> bytes:
        with department.store.write() as connection:
            cut_all(url)
            connection.execute(select(tokens).where(tokens.c.token == b"secret"))
        raise AssertionError

    monkeypatch.setattr(department.receiver, "answer", cut_short)
    app = unit_app(department.receiver, department.enrollment)
    with capture_logs() as events, serving(app) as client:
        assert client.post("/v1/hello", content=b"x").status_code == 503
    (event,) = (one for one in events if one["event"] == "cannot_answer")
    assert (event["message"], event["kind"]) == ("hello", "StoreAwayError")
    assert event["cause"] == "StoreAwayError: OperationalError: AdminShutdown"


def dump(url: str) -> str:
    """Make a backup as an administrator does: pg_dump in plain SQL."""
    return _run("pg_dump", url, "--no-owner")


def restore(url: str, backup: str) -> None:
    """Restore into the emptied database as an administrator does; stops at the first error."""
    empty(url)
    _run("psql", url, "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", "-", data=backup)


def _run(name: str, url: str, *words: str, data: str = "") -> str:
    folder = binaries()
    assert folder is not None
    place = url.partition("host=")[2]
    command = [str(folder / name), "-h", place, "-U", "alpr", "-d", "postgres", *words]
    return subprocess.run(command, input=data, capture_output=True, text=True, check=True).stdout


@pytest.mark.one_python
def test_a_restored_backup_takes_in_again_what_it_lost_and_purges_again_what_was_purged(
    url: str, department: Department, unit: Joined, clock: Clock
) -> None:
    """463.8: what was purged after the backup cannot be read in it, and the next purge removes its rows."""
    unit.add(3)
    converse(unit, department)
    day = clock.us // DAY_US
    backup = dump(url)
    unit.add(2)
    converse(unit, department)
    before = count(department, elements)
    department.close()
    restore(url, backup)
    restored = Department(department.home, Clocks.simulated(clock))
    restored.store.demand_own()  # the restored tables are the same
    assert count(restored, elements) < before
    assert converse(unit, restored).done
    assert count(restored, elements) >= before  # plus what the unit recorded since
    assert checked(restored.home).problems == []
    clock.us += 367 * DAY_US
    (receipt,) = restored.retention.run()
    assert (receipt.day, count(restored, elements)) == (day, 0)
    restored.close()
    restore(url, backup)
    again = Department(department.home, Clocks.simulated(clock))
    assert count(again, elements) > 0
    with pytest.raises(KeyServiceError, match="purged"):
        again.keys.check_stored(day, unit.outbox.log_id, [StoredElement(b"", "text", b"")])
    (receipt,) = again.retention.run()
    assert (receipt.day, count(again, elements), partitions(again)) == (day, 0, set())
    again.close()


def demand_own(url: str) -> None:
    with contextlib.closing(open_store(url, migrate=False)) as store:
        store.demand_own()


@pytest.mark.thorough
@pytest.mark.one_python
def test_a_backup_that_was_cut_is_never_taken_for_a_whole_one(
    url: str, department: Department, unit: Joined
) -> None:
    """A full disk ends pg_dump early; psql restores what there is, and the department serves none of it."""
    unit.add(3)
    converse(unit, department)
    backup = dump(url)
    department.close()
    for part in (0.2, 0.6, 0.9):
        cut = backup[: int(len(backup) * part)]
        empty(url)
        with contextlib.suppress(subprocess.CalledProcessError):
            _run("psql", url, "-q", "-f", "-", data=cut)
        with pytest.raises(StoreError):
            demand_own(url)
