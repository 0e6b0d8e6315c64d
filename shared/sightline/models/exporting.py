"""Writes a graph as an ONNX file or as a program of ``torch.export``, with everything needed to use it inside."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.fx.experimental import _config as symbolic_shapes_config

from sightline.errors import ConfigurationError, ModelFileError
from sightline.models.export_header import EXPORT_HEADER, HEADER_KEY, PROGRAM_FILE, ExportHeader
from sightline.models.model_file import shortened

_STRIDE = 32
_LARGEST_SIDE, _LARGEST_BATCH = 4096, 1024
_FAULTS = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, AttributeError, NotImplementedError)
"""What torch raises for networks that it cannot trace."""

_log = logging.getLogger(__name__)


def trace(graph: nn.Module, canvas: tuple[int, int], *, any_size: bool) -> torch.export.ExportedProgram:
    """Trace a graph for any batch size and, if ``any_size``, for any image size.

    Args:
        graph: From :func:`sightline.tasks.exporters.export_graph`.
        canvas: Height and width of the images to trace with, multiples of 32.
        any_size: Whether height and width may be any multiple of 32; if not, they are those of ``canvas``.

    Raises:
        ConfigurationError: The network has operations that cannot be traced.
    """
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    height, width = (torch.export.Dim(name, min=1, max=_LARGEST_SIDE // _STRIDE) for name in ("rows", "columns"))
    images: dict[int, Any] = {0: batch} | ({2: _STRIDE * height, 3: _STRIDE * width} if any_size else {})
    pixels = torch.randint(0, 256, (2, 3, *canvas), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sizes = torch.tensor([canvas, (canvas[0] - 1, canvas[1] - 1)])
    try:
        # Without the patch, the program would refuse images whose coarsest feature map has one row.
        with torch.no_grad(), _quiet(), symbolic_shapes_config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
            return torch.export.export(graph, (pixels, sizes), dynamic_shapes=(images, {0: batch}), strict=False)
    except _FAULTS as error:
        raise ConfigurationError(
            f"the network cannot be exported: torch.export fails with {type(error).__name__}: {shortened(error)}; "
            "choose another model.backbone, or use the model file with Sightline"
        ) from error


def write_onnx(path: Path, program: torch.export.ExportedProgram, graph: Any, header: ExportHeader) -> None:  # noqa: ANN401
    """Write an ONNX file; the header is in its ``metadata_props``.

    Args:
        path: Path of the file; an existing file is replaced.
        program: From :func:`trace`.
        graph: The traced graph, for the names of its outputs and the translations of its operators.
        header: What is needed to use the graph.

    Raises:
        ConfigurationError: The network has operations that ONNX does not have.
        ModelFileError: The file cannot be written.
    """
    try:
        with torch.no_grad(), _quiet():
            onnx = torch.onnx.export(
                program,
                input_names=("images", "sizes"),
                output_names=graph.outputs,
                custom_translation_table=graph.translations,
                verbose=False,
                dynamo=True,
            )
    except _FAULTS as error:
        raise ConfigurationError(
            f"the network cannot be converted to ONNX: {type(error).__name__}: {shortened(error)}; "
            "use --format torch_export, or choose another model.backbone"
        ) from error
    assert onnx is not None  # noqa: S101
    onnx.model.metadata_props[HEADER_KEY] = json.dumps(EXPORT_HEADER.encode(header))
    with _replacing(path) as part:
        onnx.save(part, external_data=False)


def write_program(path: Path, program: torch.export.ExportedProgram, header: ExportHeader) -> None:
    """Write a program of ``torch.export``; the header is its extra file ``sightline.json``.

    Raises:
        ModelFileError: The file cannot be written.
    """
    with _replacing(path) as part, _quiet():
        torch.export.save(program, part, extra_files={PROGRAM_FILE: json.dumps(EXPORT_HEADER.encode(header))})


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, renamed at the end."""
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot write the file ({error}); check that the folder exists, is writable and has enough space"
        ) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings about the inside of the exporters, which a user cannot act on."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
