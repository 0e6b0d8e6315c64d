"""Speed and size of a model, measured on the machine of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What a model costs to run.

    Attributes:
        device: Name of the GPU or of the processor.
        latency_p50_ms: Median time of a prediction for one decoded image, milliseconds, after a warm-up.
        latency_p95_ms: Its 95th percentile.
        timed: Number of timed predictions.
        best_batch: The batch size with the most images per second, of those that were tried.
        images_per_second: At that batch size, without reading and decoding.
        memory_gb: Peak memory, GiB: on a GPU the memory of torch; on a CPU the memory of the process while it predicts.
        size_mb: Size of the model file, MB.
        parameters: Number of values in the model file.
        gflops: Floating-point operations for one image, in billions, multiplications and additions counted separately,
            as torch counts them in matrix products and convolutions; None if they cannot be counted.
    """

    device: str
    latency_p50_ms: float
    latency_p95_ms: float
    timed: int
    best_batch: int
    images_per_second: float
    memory_gb: float
    size_mb: float
    parameters: int
    gflops: float | None = None
