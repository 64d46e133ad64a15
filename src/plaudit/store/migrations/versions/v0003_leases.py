"""Format 3: several annotators may hold one question at a time, each a lease of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plaudit.store.schema import short

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table anew: a lease that is lost costs a repetition, never an answer."""
    op.drop_table("lease")
    op.create_table(
        "lease",
        sa.Column("query", short(64), primary_key=True),
        sa.Column("annotator", short(64), primary_key=True),
        sa.Column("until", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Older versions would hand one question to one annotator only, whatever the run file says."""
    raise NotImplementedError("there is no way back from format 3")
