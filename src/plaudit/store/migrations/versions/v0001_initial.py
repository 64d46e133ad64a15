"""All tables of format 1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plaudit.store.schema import SEQ, guards, short

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and the triggers that keep the log append-only."""
    op.create_table(
        "about", sa.Column("name", short(32), primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.create_table(
        "event",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=False),
        sa.Column("kind", short(64), nullable=False),
        sa.Column("key", short(128), nullable=True, unique=True),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("prev_hash", short(64), nullable=False),
        sa.Column("hash", short(64), nullable=False),
        sa.Column("recorded_at", sa.Float, nullable=False),
        sa.Index("event_kind_seq", "kind", "seq"),
    )
    op.create_table("segment", *_record_columns(), sa.Column("blob", short(64), nullable=False))
    op.create_table(
        "query",
        *_record_columns(),
        sa.Column("round", sa.Integer, nullable=False, index=True),
        sa.Column("kind", short(32), nullable=False),
        sa.Index("ix_query_seq", "seq"),
    )
    op.create_table("annotator", *_record_columns())
    op.create_table(
        "feedback",
        sa.Column("id", short(128), primary_key=True),
        sa.Column("seq", SEQ, sa.ForeignKey("event.seq"), nullable=False, unique=True),
        sa.Column("query", short(64), sa.ForeignKey("query.id"), nullable=False, index=True),
        sa.Column("annotator", short(64), nullable=False),
        sa.Column("kind", short(32), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", short(32), nullable=False),
        sa.Column("key", short(128), nullable=False, unique=True),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("worker", short(128), nullable=True),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("result", sa.Text, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
    )
    op.create_table(
        "lease",
        sa.Column("query", short(64), primary_key=True),
        sa.Column("annotator", short(64), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    for statement in guards(op.get_bind().dialect.name):
        op.execute(statement)


def _record_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", short(64), primary_key=True),
        sa.Column("seq", SEQ, sa.ForeignKey("event.seq"), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    ]


def downgrade() -> None:
    """There is nothing before format 1."""
    raise NotImplementedError("format 1 is the first")
