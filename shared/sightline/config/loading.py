"""Settings of the data path: which images are used how often, and how they reach the network in time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sightline.config.section import Fraction, Section

Gigabytes = Annotated[float, Field(ge=0.0)]


class Loading(Section):
    """The part of the section ``train`` that concerns the data path."""

    workers: Literal["auto"] | Annotated[int, Field(ge=0, le=256)] = Field(
        "auto",
        description="Number of processes that prepare batches, for each training process; auto: from the CPUs and the "
        "size of /dev/shm; 0: none, for small images on few CPUs",
    )
    cache_ram_gb: Gigabytes = Field(
        0.5,
        description="Memory for decoded images at the network's input size, shared by all workers of a training "
        "process, in GiB; images beyond it are decoded for each use",
    )
    cache_disk_gb: Gigabytes = Field(
        0.0, description="Space for decoded images in the work folder in GiB, reused by later trainings; 0: none"
    )
    sampling: Literal["uniform", "repeat_factor", "class_balanced"] = Field(
        "uniform",
        description="uniform uses every image once per pass; repeat_factor repeats images with classes that are in "
        "less than repeat_threshold of the images; class_balanced uses all classes equally often. Images without "
        "objects stay",
    )
    repeat_threshold: Fraction = Field(
        0.001, description="Fraction of the images below which repeat_factor repeats a class"
    )
    group_by_aspect: bool = Field(
        False, description="Whether batches hold images of similar shape, which wastes less computation on padding"
    )
