"""The components: each is a thin wrapper around one step of the package."""

BASE_IMAGE = "sightline/base-python3.11:0.1.0"
"""Image of resolve, record and finish, without torch."""

TRAIN_IMAGE = "sightline/train-python3.11:0.1.0"
"""Image of train, evaluate, promote and test."""

WORK_PATH = "/var/lib/sightline"
"""Where the work volume is mounted: SIGHTLINE_HOME of both images (dockerfiles/)."""

CODE_PATH = "/code"
"""Where the volume with code snapshots is mounted: SIGHTLINE_CODE of both images."""

SETTINGS_PATH = "/etc/sightline"
"""Where the settings are mounted, in the file settings.yaml: SIGHTLINE_SETTINGS of both images."""

STORAGE_KEY_PATH = "/etc/sightline-storage"
"""Where the key file of Google Storage is mounted, in the file key.json, if there is one."""
