"""The GPUs that a job asks for by their indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("gpu_indexes", sa.JSON))


def downgrade() -> None:
    op.drop_column("jobs", "gpu_indexes")
