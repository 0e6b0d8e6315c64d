"""Fill split_counts and run_models from the other tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

COUNT = """
INSERT INTO split_counts (version_id, split, images)
SELECT version_id, split, COUNT(*) FROM images WHERE version_id = :version GROUP BY version_id, split
"""

MADE = """
INSERT INTO run_models (run_id, model_id, role, metric)
SELECT run_id, id, 'candidate', '' FROM models
WHERE run_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM run_models AS known WHERE known.model_id = models.id)
"""

PROMOTED = """
INSERT INTO run_models (run_id, model_id, role, metric)
SELECT DISTINCT run_id, model_id, 'selected', metric FROM promotions
WHERE run_id <> '' AND NOT EXISTS (
    SELECT 1 FROM run_models AS known WHERE known.run_id = promotions.run_id AND known.model_id = promotions.model_id
    AND known.role = 'selected' AND known.metric = promotions.metric
)
"""


def upgrade() -> None:
    """Version by version, so that no statement takes long; existing counts are skipped."""
    connection = op.get_bind()
    uncounted = "SELECT id FROM dataset_versions WHERE id NOT IN (SELECT version_id FROM split_counts) ORDER BY id"
    for (version,) in connection.execute(sa.text(uncounted)).all():
        connection.execute(sa.text(COUNT), {"version": version})
    connection.execute(sa.text(MADE))
    connection.execute(sa.text(PROMOTED))
