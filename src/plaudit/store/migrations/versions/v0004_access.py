"""Format 4: accounts of the studio, their sessions, invitations and keys, and who is told of events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plaudit.store.schema import SEQ, short

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables; without accounts the studio is for this machine only, as before."""
    op.create_table(
        "account",
        sa.Column("id", short(64), primary_key=True),
        sa.Column("role", short(32), nullable=False),
        sa.Column("login", short(64), nullable=True, unique=True),
        sa.Column("password", sa.Text, nullable=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("closed_at", sa.Float, nullable=True),
    )
    op.create_table(
        "session",
        sa.Column("hash", short(64), primary_key=True),
        _account(nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float, nullable=False),
    )
    op.create_table(
        "invitation",
        sa.Column("hash", short(64), primary_key=True),
        sa.Column("role", short(32), nullable=False),
        _account(nullable=True),
        sa.Column("asks", sa.Text, nullable=False),
        sa.Column("made_by", short(64), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_table(
        "api_key",
        sa.Column("id", short(32), primary_key=True),
        sa.Column("hash", short(64), nullable=False),
        _account(nullable=False),
        sa.Column("annotator", short(64), nullable=False),
        sa.Column("name", short(128), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=True),
        sa.Column("used_at", sa.Float, nullable=True),
    )
    op.create_table(
        "webhook",
        sa.Column("id", short(32), primary_key=True),
        _account(nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("private", sa.Integer, nullable=False),
        sa.Column("told", SEQ, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("trouble", sa.Text, nullable=True),
    )


def _account(*, nullable: bool) -> sa.Column[object]:
    return sa.Column("account", short(64), sa.ForeignKey("account.id"), nullable=nullable, index=True)


def downgrade() -> None:
    """Older versions would not know who may do what."""
    raise NotImplementedError("there is no way back from format 4")
