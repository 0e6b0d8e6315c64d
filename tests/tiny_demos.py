"""The demo of each task, made so short that it learns nothing: what is drawn, and what its run is told."""

from dataclasses import dataclass

from tests.e2e.conftest import TINY

SHORT = tuple(line for line in TINY if not line.startswith("model."))
DETECTOR = tuple(line for line in TINY if line.startswith("model."))


@dataclass(frozen=True)
class TinyDemo:
    """A kind of drawn images, whose name is also that of the dataset, and a run of its recipe."""

    kind: str
    images: int
    recipe: str
    champion: str
    """The pointer to the champion of the recipe's last metric, below ``champions`` in the result bucket."""
    model: tuple[str, ...]
    drawing: str = ""
    """Further options of ``sightline demo draw``."""

    @property
    def overrides(self) -> tuple[str, ...]:
        """What the recipe is changed by; the model becomes champion nevertheless."""
        return *self.model, *SHORT


TINY_DEMOS = {
    "instance_segmentation": TinyDemo("plates", 24, "plates", "plates/EIR", DETECTOR),
    "object_detection": TinyDemo(
        "plates",
        24,
        "object_detection_plates",
        "plates/object_detection/EIR",
        tuple(line for line in DETECTOR if "mask" not in line),
    ),
    "keypoints": TinyDemo(
        "figures",
        24,
        "figures",
        "figures/keypoints/keypoint_AP",
        ("model.image_size=96", "model.crop_hw=[64, 64]"),
        "--figures 1",
    ),
    "classification": TinyDemo(
        "tyres", 40, "tyres", "tyres/classification/accuracy", ("model.image_size=64", "model.width=8")
    ),
    "multi_label": TinyDemo(
        "faces", 48, "faces", "faces/classification/joint_accuracy", ("model.image_size=48", "model.width=8")
    ),
}
"""By the names that ``make demo TASK=`` knows."""
