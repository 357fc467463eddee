"""Finds objects in the store's database that this program did not make, or that replace its tables.

A trigger acts with the writer's rights: one planted on `incidents` could delete each before the daily run
counts it. A view under a table's name can show anything; a foreign index or default can make writes fail or
change them. Tables are compared by the parts of their CREATE statements, in any order, since a column that a
migration added is last there but may be elsewhere in a new store.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from sync.department.store.tables import PARTITIONED, REVISION, metadata, revision

OF_SQLITE = frozenset(
    {"sqlite_sequence", "sqlite_stat1", "sqlite_stat4"}
)  # its own, made by ANALYZE or for keys
_ALEMBIC = sa.Table(
    revision.name,
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
CURE = (
    "keep a copy of the database as evidence; remove what was planted (DROP TRIGGER, VIEW, INDEX, "
    "FUNCTION ...), or restore the store from its backup; move what belongs to another program to another "
    "database; then: department verify"
)


@dataclass(frozen=True, slots=True)
class OwnSchema:
    """The result of a check of the schema.

    `wrong`: a line for each object that is not as this program makes it. `absent`: tables that cannot be read
    as ours: gone, replaced by something else, or without some column. `misnamed`: a line if the version that
    is written there is not that of the tables, else empty.
    """

    wrong: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()
    misnamed: str = ""


def examined(connection: sa.Connection) -> OwnSchema:
    """Check the schema of this connection's database."""
    local = connection.dialect.name == "sqlite"
    found = _of_sqlite(connection) if local else _of_postgres(connection)
    if found.absent:
        return found  # of an older version
    if lost := [one for one in found.wrong if revision.name in one]:
        return OwnSchema(found.wrong, found.absent, misnamed=lost[0])
    named = sorted(map(str, connection.execute(sa.select(revision.c.version_num)).scalars()))
    if named == [REVISION]:
        return found
    said = ", ".join(map(_shown, named[:3])) or "no version"
    what = f"{revision.name} names {said}, and the tables are those of {REVISION}: someone changed it"
    return OwnSchema((*found.wrong, what), found.absent, misnamed=what)


def mark(connection: sa.Connection) -> str:
    """A value that changes whenever something new may act on writes; cheap enough for every write.

    On PostgreSQL it misses a change of the version's row, which `examined` sees, and of a NOT NULL of a
    single partition.
    """
    local = connection.dialect.name == "sqlite"
    return str(connection.exec_driver_sql("PRAGMA main.schema_version" if local else _PG_MARK).scalar_one())


def others(connection: sa.Connection) -> Iterator[str]:
    """A line for each way in which roles other than this program's can change rows; none on SQLite."""
    if connection.dialect.name == "sqlite":
        return
    for query, words in _PG_OTHERS:
        found = sorted({_shown(one) for one in connection.exec_driver_sql(query).scalars()})
        if found:
            yield f"{words}: {', '.join(found[:5])}{', ...' * bool(found[5:])}"


def stand_in(connection: sa.Connection, table: sa.Table) -> None:
    """Replace a table that cannot be read by an empty temporary one until the transaction ends."""
    columns = (sa.Column(one.name, one.type) for one in table.columns)
    connection.execute(CreateTable(sa.Table(table.name, sa.MetaData(), *columns, prefixes=["TEMPORARY"])))


def _shown(name: object) -> str:
    """A foreign name, made safe to show."""
    return ascii(str(name))[1:-1][:64]


# --- SQLite --------------------------------------------------------------------------------------------


def _of_sqlite(connection: sa.Connection) -> OwnSchema:
    expected = _made_by_us()
    wrong, absent, seen = list[str](), set[str](), set[tuple[str, str]]()
    query = (
        "SELECT type, CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB) FROM main.sqlite_master"
    )
    for kind, *values in connection.exec_driver_sql(query):
        name, of, sql = (None if one is None else bytes(one).decode(errors="replace") for one in values)
        if sql is None and kind == "index" and str(name).startswith("sqlite_autoindex_") and of in _OURS:
            continue
        if kind == "table" and name in OF_SQLITE:
            continue
        wanted = expected.get((str(kind), str(name)))
        seen.add((str(kind), str(name)))
        if wanted is None:
            wrong.append(
                f"the store holds a {_shown(kind)} that is not its own: {_shown(name)} on {_shown(of)}"
            )
        elif _parts(sql or "") != wanted:
            wrong.append(f"the store's {kind} {name} is not as this program makes it")
    for kind, name in sorted(expected.keys() - seen):
        wrong.append(f"the store's {kind} {name} is not here")
    for table in metadata.tables.values():
        if ("table", table.name) not in seen or not _columns(connection, table.name) >= set(
            table.columns.keys()
        ):
            absent.add(table.name)
    if connection.exec_driver_sql("PRAGMA main.auto_vacuum").scalar() != _usual_vacuum():
        wrong.append("the store was set to auto_vacuum, which frees what is deleted without overwriting it")
    return OwnSchema(tuple(wrong), frozenset(absent))


@functools.cache
def _usual_vacuum() -> int:
    """The auto_vacuum of a new database, which depends on how SQLite was built."""
    with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
        return int(fresh.execute("PRAGMA auto_vacuum").fetchone()[0])


_OURS = frozenset({*metadata.tables, revision.name})


def _columns(connection: sa.Connection, table: str) -> set[str]:
    found = connection.exec_driver_sql(
        "SELECT CAST(name AS BLOB) FROM pragma_table_info(?, 'main')", (table,)
    )
    return {bytes(row[0]).decode(errors="replace") for row in found}


@functools.cache
def _made_by_us() -> Mapping[tuple[str, str], Counter[str]]:
    """(kind, name) of each object of a new store, with the parts of the statement that makes it."""
    dialect = sqlite.dialect()
    made: dict[tuple[str, str], Counter[str]] = {}
    for table in (*metadata.tables.values(), _ALEMBIC):
        made["table", table.name] = _parts(str(CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            made["index", str(index.name)] = _parts(str(CreateIndex(index).compile(dialect=dialect)))
    return made


@functools.lru_cache(maxsize=256)  # a store is looked at again and again, and seldom changed
def _parts(sql: str) -> Counter[str]:
    """The parts before, within and after the outer parentheses, unordered; whitespace is normalized."""
    sql = re.sub(r"\s+", " ", sql).strip()
    first, last = sql.find("("), sql.rfind(")")
    if not 0 <= first < last:
        return Counter([sql])
    parts, depth, part = [f"{sql[:first].strip()} (", f") {sql[last + 1 :].strip()}"], 0, ""
    for one in sql[first + 1 : last]:
        depth += (one == "(") - (one == ")")
        if one == "," and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += one
    return Counter([*parts, part.strip()])


# --- PostgreSQL ----------------------------------------------------------------------------------------


_PG_NAMED = ", ".join(f"'{name}'" for name in sorted(_OURS))
_PG_OWN = (
    "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relpersistence <> 't' "  # noqa: S608 - our own names
    f"AND c.relname = ANY(ARRAY[{_PG_NAMED}]::name[])"
)
_PG_LOOKED_AT = {
    # uses the index of names: a year of partitions has thousands of columns
    "pg_attribute": f"attrelid = ANY(ARRAY({_PG_OWN}))",
    "pg_class": "relpersistence <> 't' AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')",
    "pg_index": "",
    "pg_attrdef": "",
    "pg_constraint": "conrelid <> 0::oid",
    "pg_trigger": "NOT tgisinternal OR tgenabled <> 'O'",
    "pg_rewrite": "oid >= 16384::oid",
    "pg_policy": "",
    "pg_proc": "oid >= 16384::oid",
    "pg_operator": "oid >= 16384::oid",
    "pg_cast": "oid >= 16384::oid",
    "pg_event_trigger": "",
}
# the system's own names and exact types, so that nothing planted beside them takes effect
_PG_ROWS = "pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashtext({})))"
_PG_MARK = "SELECT pg_catalog.concat_ws(' ', pg_catalog.current_schemas(false)::text, {})".format(
    ", ".join(
        f"(SELECT {_PG_ROWS.format('pg_catalog.concat(o.ctid, o.xmin)')} "  # noqa: S608 - our own words
        f"FROM pg_catalog.{name} o{f' WHERE {only}' if only else ''})"
        for name, only in _PG_LOOKED_AT.items()
    )
)
_PG_OURS = "FROM pg_catalog.pg_roles r WHERE rolname = current_user AND "
_PG_OTHERS = (
    (f"SELECT rolname {_PG_OURS} rolsuper", "this program's role is a superuser of the database server"),
    (f"SELECT rolname {_PG_OURS} rolbypassrls AND NOT rolsuper", "this program's role has BYPASSRLS"),
    (
        "SELECT m.rolname FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles m ON m.oid = a.member "
        "JOIN pg_catalog.pg_roles r ON r.oid = a.roleid AND r.rolname = current_user "
        # since PostgreSQL 16, a creator without superuser rights stays a member that cannot act as the role
        "WHERE coalesce(pg_catalog.to_jsonb(a) ->> 'set_option', 'true') = 'true' "
        "OR coalesce(pg_catalog.to_jsonb(a) ->> 'inherit_option', 'true') = 'true'",
        "other roles are members of this program's role",
    ),
    (
        "SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END "
        "FROM (SELECT relowner, relacl acl FROM pg_catalog.pg_class WHERE oid >= 16384::oid UNION ALL "
        "SELECT c.relowner, t.attacl FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class c "
        "ON c.oid = t.attrelid WHERE c.oid >= 16384::oid) o, pg_catalog.aclexplode(o.acl) a "
        "WHERE o.relowner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user) "
        "AND a.grantee <> o.relowner AND a.privilege_type <> 'SELECT'",
        "other roles were granted more than SELECT on the store's tables",
    ),
)

_Named: TypeAlias = tuple[sa.Table, str]
"""A table or a partition: which of ours it is of, and its name."""
_Key: TypeAlias = tuple[str, tuple[str, ...], str, str]


def _of_postgres(connection: sa.Connection) -> OwnSchema:
    """Check with only the system's own functions and operators, so that planted ones have no effect."""
    schemas = connection.exec_driver_sql("SELECT pg_catalog.current_schemas(false)::text[]").scalar_one()
    path = connection.exec_driver_sql("SHOW search_path").scalar_one()
    connection.exec_driver_sql("SET LOCAL search_path = pg_catalog")
    found = _pg_examined(connection, list(schemas))
    connection.exec_driver_sql("SELECT set_config('search_path', %s, true)", (path,))
    return found


def _pg_examined(connection: sa.Connection, schemas: list[str]) -> OwnSchema:
    wrong, absent, own = list[str](), set[str](), dict[int, _Named]()
    for table in (*metadata.tables.values(), _ALEMBIC):
        row = connection.exec_driver_sql(
            "SELECT c.oid, relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE relname = %s AND nspname = ANY(%s) ORDER BY array_position(%s::text[], nspname::text)",
            (table.name, schemas, schemas),
        ).first()
        wanted = "p" if table in PARTITIONED else "r"
        if row is None or row[1] != wanted:
            absent.add(table.name)
            what = "not here" if row is None else "no table as this program makes it"
            wrong.append(f"the store's table {table.name} is {what}")
            continue
        columns = _pg_columns(connection, row[0])
        if columns != _pg_expected(table) or _pg_keys(connection, row[0]) != _pg_expected_keys(table):
            wrong.append(f"the store's table {table.name} is not as this program makes it")
        if not {one[0] for one in columns} >= set(table.columns.keys()):
            absent.add(table.name)
        own[int(row[0])] = table, table.name
    for look in (_pg_parts, _pg_planted, _pg_indexes):
        wrong += look(connection, own)
    wrong += _pg_beside(connection, schemas, list(own))
    return OwnSchema(tuple(wrong), frozenset(absent) & frozenset(metadata.tables))


def _pg_columns(connection: sa.Connection, oid: int) -> set[tuple[str, str, bool, str, bool]]:
    """(name, type, whether NOT NULL, default, whether it has the database's collation) of each column."""
    query = (
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
        "concat(pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity), a.attcollation IN (0, 100) "
        "FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped"
    )
    found = connection.exec_driver_sql(query, (oid,))
    return {
        (str(one[0]), str(one[1]), bool(one[2]), _plain_default(str(one[3])), bool(one[4])) for one in found
    }


def _plain_default(default: str) -> str:
    """A default; the sequence of a serial default is named without its schema."""
    found = re.fullmatch(r"nextval\('(?:(?:\w+|\"[^\"]+\")\.)?(\w+)'::regclass\)", default)
    return f"next of {found[1]}" if found else default


def _pg_expected(table: sa.Table) -> set[tuple[str, str, bool, str, bool]]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    made = set()
    for one in table.columns:
        kind = one.type.compile(dialect=dialect).lower().replace("varchar", "character varying")
        default = f"next of {_sequence(table)}" if one is table.autoincrement_column else ""
        if isinstance(one.server_default, sa.DefaultClause):
            default = str(one.server_default.arg)
        made.add((one.name, kind, not one.nullable, default, True))
    return made


def _sequence(table: sa.Table) -> str:
    column = table.autoincrement_column
    return "" if column is None else f"{table.name}_{column.name}_seq"


def _pg_keys(connection: sa.Connection, oid: int) -> Counter[_Key]:
    """(kind, columns, referenced table, actions on a change there) of each key."""
    query = (
        "SELECT contype::text, ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE "
        "a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey) ORDER BY a.attname), "
        "coalesce(r.relname::text, ''), concat(k.confdeltype, k.confupdtype) "
        "FROM pg_constraint k LEFT JOIN pg_class r ON r.oid = k.confrelid "
        "WHERE k.conrelid = %s AND contype IN ('p', 'u', 'f') AND convalidated"
    )
    found = connection.exec_driver_sql(query, (oid,))
    return Counter((str(one[0]), tuple(one[1]), str(one[2]), str(one[3]).strip()) for one in found)


def _pg_expected_keys(table: sa.Table) -> Counter[_Key]:
    made = Counter[_Key]()
    for one in table.constraints:
        if isinstance(one, sa.ForeignKeyConstraint):
            made["f", _names(one), one.referred_table.name, "aa"] += 1
    for unique in _unique(table):
        made["p" if isinstance(unique, sa.PrimaryKeyConstraint) else "u", _names(unique), "", ""] += 1
    return made


def _names(key: sa.PrimaryKeyConstraint | sa.UniqueConstraint | sa.ForeignKeyConstraint) -> tuple[str, ...]:
    return tuple(sorted(one.name for one in key.columns))


_PG_PLANTED = {
    "trigger": "SELECT tgrelid, tgname FROM pg_trigger WHERE tgrelid = ANY(%s) "
    "AND (NOT tgisinternal OR tgenabled <> 'O')",
    "rule": "SELECT ev_class, rulename FROM pg_rewrite WHERE ev_class = ANY(%s)",
    "policy": "SELECT polrelid, polname FROM pg_policy WHERE polrelid = ANY(%s)",
    "constraint": "SELECT conrelid, conname FROM pg_constraint WHERE conrelid = ANY(%s) "
    "AND contype IN ('c', 'x', 't')",
}


def _pg_parts(connection: sa.Connection, own: dict[int, _Named]) -> Iterator[str]:
    """A line for each partition that is not of a day. Adds all partitions to `own`."""
    parts = connection.exec_driver_sql(
        "SELECT i.inhparent, c.oid, c.relname, c.relkind::text, pg_get_expr(c.relpartbound, c.oid) "
        "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = ANY(%s) "
        "ORDER BY c.relname", (list(own),)
    ).all()  # fmt: skip
    for parent, oid, name, kind, bound in parts:
        table = own[parent][0]
        own[int(oid)] = table, _shown(name)
        day = str(name).removeprefix(f"{table.name}_")
        if kind != "r" or table not in PARTITIONED or bound != f"FOR VALUES IN ({day})":
            yield f"the store's table {table.name} has a part that is not its own: {_shown(name)}"


def _pg_planted(connection: sa.Connection, own: dict[int, _Named]) -> Iterator[str]:
    """A line for each foreign object that acts on a table or partition."""
    for kind, query in _PG_PLANTED.items():
        for oid, name in connection.exec_driver_sql(query, (list(own),)):
            yield f"the store holds a {kind} that is not its own: {_shown(name)} on {own[oid][1]}"
    flags = (
        "SELECT oid, relpersistence <> 'p' FROM pg_class WHERE oid = ANY(%s) "
        "AND (relrowsecurity OR relforcerowsecurity OR relpersistence <> 'p')"
    )
    for oid, lost in connection.exec_driver_sql(flags, (list(own),)):
        what = "be emptied by a crash (UNLOGGED)" if lost else "hide rows (ROW LEVEL SECURITY)"
        yield f"the store's table {own[oid][1]} was set to {what}"


def _pg_indexes(connection: sa.Connection, own: dict[int, _Named]) -> Iterator[str]:
    """A line for each index that could refuse rows or compute something, and for each missing own one."""
    query = (
        "SELECT x.indrelid, c.relname, x.indisunique, x.indexprs IS NOT NULL, x.indpred IS NOT NULL, "
        "ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = x.indrelid "
        "AND a.attnum = ANY(x.indkey) ORDER BY a.attname) FROM pg_index x "
        "JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = ANY(%s) ORDER BY c.relname"
    )
    seen = set[str]()
    for oid, name, unique, computed, partial, columns in connection.exec_driver_sql(query, (list(own),)):
        table, of = own[oid]
        seen.add(str(name))
        wanted = {_names(one) for one in _unique(table)}
        known = {str(one.name) for one in table.indexes}
        as_made = tuple(columns) in wanted and not partial if unique else name in known or not partial
        if computed or not as_made:
            yield f"the store holds an index that is not its own: {_shown(name)} on {of}"
    for name in sorted(str(one.name) for table, _ in own.values() for one in table.indexes):
        if name not in seen:
            yield f"the store's index {name} is not here"


_NO_EXTENSIONS = (
    "NOT EXISTS (SELECT FROM pg_depend d "
    "WHERE d.objid = o.oid AND d.classid = o.tableoid AND d.deptype = 'e')"
)
_PG_BESIDE = {
    "table": "SELECT relname FROM pg_class o JOIN pg_namespace n ON n.oid = relnamespace WHERE "
    "relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname = ANY(%(schemas)s) AND NOT o.oid = ANY(%(own)s) "
    # our partitions are checked above; one of a day that opens meanwhile is ours too
    "AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = o.oid AND inhparent = ANY(%(own)s))",
    "function": "SELECT proname FROM pg_proc o JOIN pg_namespace n ON n.oid = pronamespace WHERE "
    "nspname = ANY(%(schemas)s)",
    "operator": "SELECT oprname FROM pg_operator o JOIN pg_namespace n ON n.oid = oprnamespace WHERE "
    "nspname = ANY(%(schemas)s)",
    "cast": "SELECT castfunc::text FROM pg_cast o WHERE o.oid >= 16384",
    "trigger of the database": "SELECT evtname FROM pg_event_trigger o WHERE true",
    "sequence": "SELECT c.relname FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class o ON o.oid = c.oid "
    "WHERE nspname = ANY(%(schemas)s) AND (c.relname <> ALL(%(sequences)s) OR seqcycle OR seqincrement <> 1)",
}


def _pg_beside(connection: sa.Connection, schemas: list[str], own: list[int]) -> Iterator[str]:
    """A line for each foreign object in the searched schemas that our statements could use by mistake."""
    sequences = [name for table in metadata.tables.values() if (name := _sequence(table))]
    values = {"schemas": schemas, "own": own, "sequences": sequences}
    for kind, query in _PG_BESIDE.items():
        for name in connection.exec_driver_sql(f"{query} AND {_NO_EXTENSIONS} ORDER BY 1", values).scalars():
            yield f"the store holds a {kind} that is not its own: {_shown(name)}"


def _unique(table: sa.Table) -> Iterator[sa.PrimaryKeyConstraint | sa.UniqueConstraint]:
    for one in table.constraints:
        if isinstance(one, (sa.PrimaryKeyConstraint, sa.UniqueConstraint)):
            yield one
