"""The optional extras of an installation, and the commands that install them.

The distribution is called ``sightline-vision``, because ``sightline`` is another project on the package index; the
import is ``sightline``.  It is installed from a checkout or a built wheel, never under that other name.
"""

from __future__ import annotations

DISTRIBUTION = "sightline-vision"

EXTRA_OF_MODULE = {
    "torch": "vision",
    "torchvision": "vision",
    "timm": "vision",
    "safetensors": "vision",
    "rfdetr": "rfdetr",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "kfp": "kfp",
    "kfp_server_api": "kfp",
    "kubernetes": "kfp",
    "tensorboard": "tracking",
    "mlflow": "mlflow",
    "wandb": "wandb",
}
"""Module that a command may need -> the extra that installs it."""


def installation_command(*extras: str) -> str:
    """The command that installs extras, as the end of a message.

    Example:
        >>> installation_command("gcs", "mysql")
        "run pip install --constraint constraints.txt '.[gcs,mysql]' in the checkout of Sightline"
    """
    return f"run pip install --constraint constraints.txt '.[{','.join(extras)}]' in the checkout of Sightline"
