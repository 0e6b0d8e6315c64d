"""The names of published weights, and the form of ``model.weights``; without torch and timm.

The checkpoints themselves are known to torchvision (https://docs.pytorch.org/vision/stable/models.html), timm
(``timm.list_pretrained()``) and the package rfdetr, which are only imported where weights are loaded.
"""

from __future__ import annotations

from pathlib import PurePosixPath

AUTO = "auto"
NONE = "none"
CHAMPION = "champion:"
TIMM = "timm:"
RFDETR = "rfdetr:"

RFDETR_SIZES = ("nano", "small", "medium", "large")

RESNET_WEIGHTS = {
    "resnet18": ("ResNet18_Weights", ("IMAGENET1K_V1",)),
    "resnet34": ("ResNet34_Weights", ("IMAGENET1K_V1",)),
    "resnet50": ("ResNet50_Weights", ("IMAGENET1K_V1", "IMAGENET1K_V2")),
    "resnet101": ("ResNet101_Weights", ("IMAGENET1K_V1", "IMAGENET1K_V2")),
    "resnet152": ("ResNet152_Weights", ("IMAGENET1K_V1", "IMAGENET1K_V2")),
    "resnext50_32x4d": ("ResNeXt50_32X4D_Weights", ("IMAGENET1K_V1", "IMAGENET1K_V2")),
    "resnext101_32x8d": ("ResNeXt101_32X8D_Weights", ("IMAGENET1K_V1", "IMAGENET1K_V2")),
    "resnext101_64x4d": ("ResNeXt101_64X4D_Weights", ("IMAGENET1K_V1",)),
    "wide_resnet50_2": ("Wide_ResNet50_2_Weights", ("IMAGENET1K_V1", "IMAGENET1K_V2")),
    "wide_resnet101_2": ("Wide_ResNet101_2_Weights", ("IMAGENET1K_V1", "IMAGENET1K_V2")),
}
"""torchvision's body -> the enum of its ImageNet weights, and its members."""

MASK_RCNN = "MaskRCNN_ResNet50_FPN_Weights.COCO_V1"
FASTER_RCNN = "FasterRCNN_ResNet50_FPN_Weights.COCO_V1"
FCOS = "FCOS_ResNet50_FPN_Weights.COCO_V1"
RETINANET = "RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1"
KEYPOINT_RCNN = "KeypointRCNN_ResNet50_FPN_Weights.COCO_V1"

DETECTORS = (MASK_RCNN, FASTER_RCNN, FCOS, RETINANET, KEYPOINT_RCNN)
"""torchvision's detectors with the body, pyramid and heads of Sightline's, trained on COCO.

Other detectors of torchvision that are called V2 have other heads and norms in the pyramid.
"""

DETECTOR_BODY = "resnet50"
DETECTOR_CHANNELS = 256
"""Body and pyramid channels of :data:`DETECTORS`."""

_FILE_ENDINGS = {".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".tar"}


def torchvision_names() -> list[str]:
    """All names of torchvision's weights that ``model.weights`` accepts."""
    bodies = (f"{enum}.{member}" for enum, members in RESNET_WEIGHTS.values() for member in members)
    return [*DETECTORS, *bodies]


def rfdetr_name(size: str, *, masks: bool) -> str:
    """The name of the published weights of RF-DETR, trained on COCO.

    Example:
        >>> rfdetr_name("nano", masks=True)
        'rfdetr:seg-nano'
    """
    return f"{RFDETR}{'seg-' * masks}{size}"


def rfdetr_names() -> list[str]:
    """All names of weights of RF-DETR that ``model.weights`` accepts."""
    return [rfdetr_name(size, masks=masks) for masks in (False, True) for size in RFDETR_SIZES]


def body_weights(backbone: str) -> str:
    """The name of the published ImageNet weights of a backbone; empty if there are none.

    ImageNet weights of torchvision are the first version, with which torchvision trains its detectors, too.

    Example:
        >>> body_weights("resnet18"), body_weights("timm:convnext_tiny"), body_weights("resnet18_gn")
        ('ResNet18_Weights.IMAGENET1K_V1', 'timm:convnext_tiny', '')
    """
    if backbone.startswith(TIMM):
        return backbone
    enum, members = RESNET_WEIGHTS.get(backbone, ("", ("",)))
    return f"{enum}.{members[0]}" if enum else ""


def is_address(weights: str) -> bool:
    """Whether a value of ``model.weights`` is the path or URI of a file, and not a name.

    Example:
        >>> [is_address(value) for value in ("auto", "./auto", "w.pth", "gs://bucket/w", MASK_RCNN, "timm:a.b")]
        [False, True, True, True, False, False]
    """
    if weights in {"", AUTO, NONE} or weights.startswith((CHAMPION, TIMM, RFDETR)):
        return False
    return "/" in weights or PurePosixPath(weights).suffix.lower() in _FILE_ENDINGS
