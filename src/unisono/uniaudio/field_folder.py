"""What tells a SAP's fields in a model folder: `fields.safetensors`, a section of config.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unisono.errors import ModelError
from unisono.storage.weights import large_matrices, load_weights, save_weights
from unisono.uniaudio.field_reader import FieldReader

WEIGHTS = "fields.safetensors"


def save_fields(reader: FieldReader, folder: Path, int8: bool) -> dict[str, Any]:
    """Write the weights; returns config.json's section `fields`: sizes, values of each field."""
    state = reader.state_dict()
    save_weights(folder / WEIGHTS, state, int8=large_matrices(state) if int8 else ())
    body = reader.body
    return {
        "dim": body.inward.weight.shape[1],
        "width": body.inward.weight.shape[0],
        "layers": len(body.convs),
        "whole": reader.whole is not None,
        "values": {name: list(values) for name, values in reader.fields.items()},
    }


def open_fields(folder: Path, section: Mapping[str, Any]) -> FieldReader:
    """The reader that `save_fields` wrote; `ModelError` for missing and unfitting files."""
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"The model folder {folder} has no {WEIGHTS}; restore the file.")
    try:
        sizes = {name: int(section[name]) for name in ("dim", "width", "layers")}
        values = {str(name): tuple(map(str, known)) for name, known in section["values"].items()}
        with torch.device("cpu"):
            whole = bool(section.get("whole", False))
            reader = FieldReader(sizes["dim"], values, sizes["width"], sizes["layers"], whole)
        reader.load_state_dict(load_weights(folder / WEIGHTS))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{folder / WEIGHTS} and section fields of config.json do not fit: "
                         f"{reason}; restore them.") from error  # fmt: skip
    return reader
