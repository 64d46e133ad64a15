"""Tables of the store. The event log is the truth; projections can be rebuilt from it at any time.

Jobs and leases are work in progress and stand outside the log: losing them costs a repetition, never an answer.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

FORMAT = 1
"""number of the store's format, kept in `about`"""
REVISION = "0001"
"""the newest migration, whose tables these are"""
GENESIS = "0" * 64
"""what stands before the first event"""

metadata = MetaData()

# `format`, and `head`: seq and hash of the newest event, as a chain alone cannot tell that its end was cut off
about = Table(
    "about",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
)

# sqlite stores INTEGER primary keys as 64 bits; BigInteger would lose the alias of the row id
SEQ = BigInteger().with_variant(Integer, "sqlite")

event = Table(
    "event",
    metadata,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("kind", String(64), nullable=False),
    Column("key", String(128), nullable=True, unique=True),
    Column("payload", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("recorded_at", Float, nullable=False),
    Index("event_kind_seq", "kind", "seq"),
)

segment = Table(
    "segment",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("seq", SEQ, ForeignKey("event.seq"), nullable=False),
    Column("blob", String(64), nullable=False),
    Column("record", Text, nullable=False),
)

query = Table(
    "query",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("seq", SEQ, ForeignKey("event.seq"), nullable=False, index=True),
    Column("round", Integer, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("record", Text, nullable=False),
)

annotator = Table(
    "annotator",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("seq", SEQ, ForeignKey("event.seq"), nullable=False),
    Column("record", Text, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("seq", SEQ, ForeignKey("event.seq"), nullable=False, unique=True),
    Column("query", String(64), ForeignKey("query.id"), nullable=False, index=True),
    Column("annotator", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("record", Text, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("key", String(128), nullable=False, unique=True),
    Column("payload", Text, nullable=False),
    Column("worker", String(128), nullable=True),
    Column("lease_until", Float, nullable=False),
    Column("result", Text, nullable=True),
    Column("error", Text, nullable=True),
)

lease = Table(
    "lease",
    metadata,
    Column("query", String(64), primary_key=True),  # no foreign key: leases outlive a rebuild of the projections
    Column("annotator", String(64), nullable=False),
    Column("until", Float, nullable=False),
)

revision = Table(
    "alembic_version",
    MetaData(),  # not one of the tables that migrations change
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table: it says which migrations a store has seen"""

GUARDS = {
    "event_no_update": "UPDATE ON event",
    "event_no_delete": "DELETE ON event",
    # also keeps out INSERT OR REPLACE, which deletes rows without asking the guard above
    "event_in_order": "INSERT ON event WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM event) "
    "OR EXISTS (SELECT 1 FROM event WHERE key = NEW.key)",
}
"""SQLite triggers that keep the log append-only: name -> when they refuse"""

PROJECTIONS = {"segment.added": segment, "query.asked": query, "annotator.added": annotator, "feedback.given": feedback}
"""event kind -> the table that it fills"""
