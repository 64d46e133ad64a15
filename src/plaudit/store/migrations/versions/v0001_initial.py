"""All tables of format 1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")

GUARDS = {
    "event_no_update": "UPDATE ON event",
    "event_no_delete": "DELETE ON event",
    # also keeps out INSERT OR REPLACE, which deletes rows without asking the guard above
    "event_in_order": "INSERT ON event WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM event) "
    "OR EXISTS (SELECT 1 FROM event WHERE key = NEW.key)",
}


def upgrade() -> None:
    """Create every table, and the triggers that keep the log append-only."""
    op.create_table(
        "about", sa.Column("name", sa.String(32), primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.create_table(
        "event",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("key", sa.String(128), nullable=True, unique=True),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("recorded_at", sa.Float, nullable=False),
        sa.Index("event_kind_seq", "kind", "seq"),
    )
    op.create_table("segment", *_record_columns(), sa.Column("blob", sa.String(64), nullable=False))
    op.create_table(
        "query",
        *_record_columns(),
        sa.Column("round", sa.Integer, nullable=False, index=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Index("ix_query_seq", "seq"),
    )
    op.create_table("annotator", *_record_columns())
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("seq", SEQ, sa.ForeignKey("event.seq"), nullable=False, unique=True),
        sa.Column("query", sa.String(64), sa.ForeignKey("query.id"), nullable=False, index=True),
        sa.Column("annotator", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.String(128), nullable=False, unique=True),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("worker", sa.String(128), nullable=True),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("result", sa.Text, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
    )
    op.create_table(
        "lease",
        sa.Column("query", sa.String(64), primary_key=True),
        sa.Column("annotator", sa.String(64), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":  # pragma: no branch - PostgreSQL will get a trigger of its own
        for name, when in GUARDS.items():
            refuse = "BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END"
            op.execute(f"CREATE TRIGGER {name} BEFORE {when} {refuse}")


def _record_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("seq", SEQ, sa.ForeignKey("event.seq"), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    ]


def downgrade() -> None:
    """There is nothing before format 1."""
    raise NotImplementedError("format 1 is the first")
