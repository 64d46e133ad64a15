"""Format 2: personal data apart from the log, and the keys that they are encrypted with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plaudit.store.schema import short

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "person",
        sa.Column("annotator", short(64), primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "person_key",
        sa.Column("annotator", short(64), primary_key=True),
        sa.Column("key", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Going back would lose people's data."""
    raise NotImplementedError("there is no way back from format 2")
