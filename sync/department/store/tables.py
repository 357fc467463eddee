"""The department's tables (SQLAlchemy Core). No table has the plate text, place or exact time of a read.

A day is whole days since 1970-01-01 UTC, and always the day of *receipt*. `elements` and `tokens` are
partitioned by it on PostgreSQL, so that a purge drops a partition; on SQLite a purge deletes by it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
    text,
)

REVISION = "0005"  # the newest file in migrations/versions
revision = table("alembic_version", column("version_num"))  # alembic's own table, with one row
metadata = MetaData()

units = Table(
    "units",
    metadata,
    Column("unit_id", String(32), primary_key=True),  # hex of SHA-256(identity key), 16 bytes
    Column("name", String(64), nullable=False, unique=True),
    Column("identity", LargeBinary, nullable=False),  # SubjectPublicKeyInfo, DER, P-256
    Column("enrolled_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("revoked_why", Text),
)

codes = Table(  # one-time enrollment codes: only their hash
    "codes",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("issued_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("used_us", BigInteger),
    Column("unit_id", String(32)),
)

certificates = Table(
    "certificates",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("unit_id", String(32), ForeignKey("units.unit_id"), nullable=False),
    Column("issued_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)

logs = Table(
    "logs",
    metadata,
    Column("log_no", Integer, primary_key=True),
    Column("log_id", LargeBinary(32), nullable=False, unique=True),
    Column("unit_id", String(32), ForeignKey("units.unit_id"), nullable=False),
    Column("public", LargeBinary(32), nullable=False),
    Column("vouch", LargeBinary, nullable=False),  # the unit key's vouch for the log key
    Column("state", String(8), nullable=False),  # open, closed
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),  # frontier of the tree, widest first
    Column("cosigned", Text),  # the newest checkpoint that this department co-signed
    Column("cosigned_size", BigInteger, nullable=False, server_default=text("0")),
    Column("opened_us", BigInteger, nullable=False),
    # the log that signed these records, if they came after it was closed; no tree is known
    Column("closed_of", LargeBinary(32), index=True),
)

leaves = Table(
    "leaves",
    metadata,
    Column("log_no", Integer, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("missing", SmallInteger, nullable=False),  # how many of its elements are still to come
)
Index("leaves_missing", leaves.c.log_no, leaves.c.sequence, postgresql_where=leaves.c.missing > 0,
      sqlite_where=leaves.c.missing > 0)  # fmt: skip

epoch_keys = Table(
    "epoch_keys",
    metadata,
    Column("log_no", Integer, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("day_key", LargeBinary(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

elements = Table(
    "elements",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("log_no", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(32), primary_key=True),
    Column("form", SmallInteger, nullable=False),  # 0 open frame, 1 sealed under the store key of `day`
    Column("stored", LargeBinary),  # small ones; others are in the blob store
    Column("pack", String(64)),  # images: the pack file that the parcel was written to,
    Column("offset", BigInteger),  # and where in it
    Column("length", Integer),
    postgresql_partition_by="LIST (day)",
)

tokens = Table(
    "tokens",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("token", LargeBinary(16), primary_key=True),
    Column("log_no", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    postgresql_partition_by="LIST (day)",
)

days = Table(  # every day of receipt with content; the row stays, with its purge receipt
    "days",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("purge_started_us", BigInteger),
    Column("purged_us", BigInteger),
    Column("receipt", LargeBinary),
)

bad_records = Table(
    "bad_records",
    metadata,
    Column("log_no", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(32), primary_key=True),
    Column("tries", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("given_up_us", BigInteger),
)

receipts = Table(
    "receipts",
    metadata,
    Column("receipt_no", Integer, primary_key=True),
    Column("log_no", Integer, nullable=False, index=True),
    Column("first", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),  # first record after the range
    Column("message", LargeBinary, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("incident_no", Integer, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("unit_id", String(32)),
    Column("log_id", LargeBinary(32)),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("times", Integer, nullable=False, server_default=text("1")),
    Column("closed_us", BigInteger),
    Column("closed_by", Text),
    Column("second_by", Text),
)

alerts = Table(  # hits that came ahead of their turn; the same leaf must come again in its place
    "alerts",
    metadata,
    Column("log_no", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("parts", LargeBinary, nullable=False),  # the parcel as received, sealed to the day key
)

alert_records = Table(  # alerts and their steps, in the order in which their content came
    "alert_records",
    metadata,
    Column("record_no", Integer, primary_key=True),
    Column("log_no", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    UniqueConstraint("log_no", "sequence"),
)

documents = Table(  # documents for units: signed, versioned; an empty unit_id means every unit
    "documents",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("unit_id", String(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

unit_health = Table(  # each unit's newest health report, signed by its log key
    "unit_health",
    metadata,
    Column("unit_id", String(32), primary_key=True),
    Column("received_us", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

destructions = Table(  # destruction receipts of logs whose unit was reset, signed by the log's key
    "destructions",
    metadata,
    Column("log_no", Integer, primary_key=True, autoincrement=False),
    Column("message", LargeBinary, nullable=False),
    Column("received_us", BigInteger, nullable=False),
)

PARTITIONED = (elements, tokens)
