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
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

FORMAT = 4
"""number of the store's format, kept in `about`"""
REVISION = "0004"
"""the newest migration, whose tables these are"""
GENESIS = "0" * 64
"""what stands before the first event"""

metadata = MetaData()


def short(length: int) -> TypeEngine[str]:
    """Text of about so many characters; neither database refuses longer ones, as SQLite knows no lengths."""
    return String(length).with_variant(Text(), "postgresql")


# `format`; `blobs`, if they do not lie beside the file; and `head`: seq and hash of the newest event, as a chain alone
# cannot tell that its end was cut off
about = Table(
    "about",
    metadata,
    Column("name", short(32), primary_key=True),
    Column("value", Text, nullable=False),
)

# sqlite stores INTEGER primary keys as 64 bits; BigInteger would lose the alias of the row id
SEQ = BigInteger().with_variant(Integer, "sqlite")

event = Table(
    "event",
    metadata,
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("kind", short(64), nullable=False),
    Column("key", short(128), nullable=True, unique=True),
    Column("payload", Text, nullable=False),
    Column("prev_hash", short(64), nullable=False),
    Column("hash", short(64), nullable=False),
    Column("recorded_at", Float, nullable=False),
    Index("event_kind_seq", "kind", "seq"),
)

segment = Table(
    "segment",
    metadata,
    Column("id", short(64), primary_key=True),
    Column("seq", SEQ, ForeignKey("event.seq"), nullable=False),
    Column("blob", short(64), nullable=False),
    Column("record", Text, nullable=False),
)

query = Table(
    "query",
    metadata,
    Column("id", short(64), primary_key=True),
    Column("seq", SEQ, ForeignKey("event.seq"), nullable=False, index=True),
    Column("round", Integer, nullable=False, index=True),
    Column("kind", short(32), nullable=False),
    Column("record", Text, nullable=False),
)

annotator = Table(
    "annotator",
    metadata,
    Column("id", short(64), primary_key=True),
    Column("seq", SEQ, ForeignKey("event.seq"), nullable=False),
    Column("record", Text, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", short(128), primary_key=True),
    Column("seq", SEQ, ForeignKey("event.seq"), nullable=False, unique=True),
    Column("query", short(64), ForeignKey("query.id"), nullable=False, index=True),
    Column("annotator", short(64), nullable=False),
    Column("kind", short(32), nullable=False),
    Column("record", Text, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", short(32), nullable=False),
    Column("key", short(128), nullable=False, unique=True),
    Column("payload", Text, nullable=False),
    Column("worker", short(128), nullable=True),
    Column("lease_until", Float, nullable=False),
    Column("result", Text, nullable=True),
    Column("error", Text, nullable=True),
)

lease = Table(
    "lease",
    metadata,
    Column("query", short(64), primary_key=True),  # no foreign key: leases outlive a rebuild of the projections
    Column("annotator", short(64), primary_key=True),
    Column("until", Float, nullable=False),
)

revision = Table(
    "alembic_version",
    MetaData(),  # not one of the tables that migrations change
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table: it says which migrations a store has seen"""

# personal data stand outside the log, each person's encrypted with a key of its own: without the key nobody reads them
person = Table(
    "person",
    metadata,
    Column("annotator", short(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

person_key = Table(
    "person_key",
    metadata,
    Column("annotator", short(64), primary_key=True),
    Column("key", LargeBinary, nullable=False),
)

# who may use the studio: outside the log, and of every secret only what cannot be turned back into it
account = Table(
    "account",
    metadata,
    Column("id", short(64), primary_key=True),  # the pseudonym under which answers of this account are stored
    Column("role", short(32), nullable=False),
    Column(
        "login", short(64), nullable=True, unique=True
    ),  # hash of the name, or of issuer and subject, to sign in with
    Column("password", Text, nullable=True),
    Column("created_at", Float, nullable=False),
    Column("closed_at", Float, nullable=True),
)

session = Table(
    "session",
    metadata,
    Column("hash", short(64), primary_key=True),
    Column("account", short(64), ForeignKey("account.id"), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),
)

invitation = Table(
    "invitation",
    metadata,
    Column("hash", short(64), primary_key=True),
    Column("role", short(32), nullable=False),
    Column(
        "account", short(64), ForeignKey("account.id"), nullable=True, index=True
    ),  # whom it lets in again; None: somebody new
    Column("asks", Text, nullable=False),
    Column("made_by", short(64), nullable=False),
    Column("until", Float, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", short(32), primary_key=True),
    Column("hash", short(64), nullable=False),
    Column("account", short(64), ForeignKey("account.id"), nullable=False, index=True),
    Column("annotator", short(64), nullable=False),
    Column("name", short(128), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("until", Float, nullable=True),
    Column("used_at", Float, nullable=True),
)

webhook = Table(
    "webhook",
    metadata,
    Column("id", short(32), primary_key=True),
    Column("account", short(64), ForeignKey("account.id"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("secret", Text, nullable=False),  # in the clear: a message is signed with it
    Column("private", Integer, nullable=False),  # 1: may lead to an address that is not public
    Column("told", SEQ, nullable=False),  # log position up to which the receiver has been told: the log is the outbox
    Column("failures", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("trouble", Text, nullable=True),
)
ACCESS = (webhook, api_key, invitation, session, account)
"""in the order in which rows can be deleted"""

_SQLITE_GUARDS = {
    "event_no_update": "UPDATE ON event",
    "event_no_delete": "DELETE ON event",
    # also keeps out INSERT OR REPLACE, which deletes rows without asking the guard above
    "event_in_order": "INSERT ON event WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM event) "
    "OR EXISTS (SELECT 1 FROM event WHERE key = NEW.key)",
}
"""name -> when it refuses"""

_REFUSE = "RAISE EXCEPTION 'the event log is append-only' USING ERRCODE = 'integrity_constraint_violation';"
_POSTGRES_GUARDS = (
    f"CREATE FUNCTION event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_REFUSE} END $$",
    "CREATE FUNCTION event_require_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"IF NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM event) THEN {_REFUSE} END IF; RETURN NEW; END $$",
    "CREATE TRIGGER event_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON event "
    "FOR EACH STATEMENT EXECUTE FUNCTION event_refuse()",
    "CREATE TRIGGER event_in_order BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION event_require_order()",
)


def guards(dialect: str) -> tuple[str, ...]:
    """Statements that make the triggers which keep the log append-only."""
    if dialect == "sqlite":
        refuse = "BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END"
        return tuple(f"CREATE TRIGGER {name} BEFORE {when} {refuse}" for name, when in _SQLITE_GUARDS.items())
    return _POSTGRES_GUARDS


PROJECTIONS = {"segment.added": segment, "query.asked": query, "annotator.added": annotator, "feedback.given": feedback}
"""event kind -> the table that it fills"""
