"""The components: each a thin shell around one step of the helper package."""

BASE_IMAGE = "sightline/base-python3.11:0.1.0"
"""resolve and record: no torch inside."""

TRAIN_IMAGE = "sightline/train-python3.11:0.1.0"
"""train, evaluate and test."""

WORK_VOLUME = "sightline-work"
"""The claim that every task mounts (manifests/base/work-volume.yaml)."""

WORK_PATH = "/var/lib/sightline"
"""Where it is mounted: SIGHTLINE_HOME of both images (dockerfiles/)."""
