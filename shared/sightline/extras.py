"""The optional parts of an installation, and how a message tells a person to install one.

The distribution is called ``sightline-vision``, because ``sightline`` is another project's name on the package index;
the import is ``sightline``.  It is installed from a checkout or a built wheel, never by that other name.
"""

from __future__ import annotations

DISTRIBUTION = "sightline-vision"

EXTRA_OF_MODULE = {
    "torch": "vision",
    "torchvision": "vision",
    "timm": "vision",
    "safetensors": "vision",
    "kfp": "kfp",
    "kfp_server_api": "kfp",
    "kubernetes": "kfp",
    "tensorboard": "tracking",
}
"""Module that a command may need -> the extra that brings it."""


def installation_command(*extras: str) -> str:
    """What to do to get the extras, as the end of a message.

    Example:
        >>> installation_command("gcs", "mysql")
        "run pip install --constraint constraints.txt '.[gcs,mysql]' in the checkout of Sightline"
    """
    return f"run pip install --constraint constraints.txt '.[{','.join(extras)}]' in the checkout of Sightline"
