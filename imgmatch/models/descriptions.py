"""A model's description as a file: written, and read with every field checked."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, asdict, fields
from pathlib import Path

from imgmatch.errors import ModelError
from imgmatch.given import load
from imgmatch.types import ModelSpec

GRAPHS = ("", "plain")
SPEC_FILE = "spec.json"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
# What a vector index and a network of this kind can hold; a description beyond it is a slip or hostile.
_DIMS = range(1, 65_537)
_MOST_BYTES = 1 << 20
_INPUTS_PX = range(32, 2_049)


def read_spec(path: Path) -> ModelSpec:
    """Read a ModelSpec from JSON. Raises ModelError, naming the file and the field, when it is none."""
    try:
        found = load(path, _MOST_BYTES)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable model description ({error})") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: must hold a JSON object with the fields of a model")
    for field in fields(ModelSpec):
        kind = int if field.type == "int" else str
        if not isinstance(found.get(field.name, None if field.default is MISSING else field.default), kind):
            raise ModelError(f"{path}: field {field.name!r} must be there, as {kind.__name__}")
    spec = ModelSpec(**{field.name: found.get(field.name, field.default) for field in fields(ModelSpec)})
    for name in (spec.name, spec.weights_file):
        if not PLAIN_NAME.fullmatch(name) or name == SPEC_FILE:
            raise ModelError(
                f"{path}: {name[:100]!r} must be a plain name: letters, digits, '.', '_' and '-', no folders"
            )
    if spec.graph not in GRAPHS:
        raise ModelError(f"{path}: field 'graph' is {spec.graph[:100]!r}, must be empty or 'plain'; update imgmatch")
    copies = range(spec.dim + 1)
    for name, value, limits in (
        ("dim", spec.dim, _DIMS),
        ("input_px", spec.input_px, _INPUTS_PX),
        ("copy_dim", spec.copy_dim, copies),
    ):
        if value not in limits:
            raise ModelError(f"{path}: field {name!r} is {value}, must be {limits.start} to {limits.stop - 1}")
    sides = spec.query_px.split()
    if not all(
        len(side) <= 5 and side.isdecimal() and int(side) in _INPUTS_PX and int(side) % 32 == 0 for side in sides
    ):
        raise ModelError(
            f"{path}: field 'query_px' is {spec.query_px[:100]!r}, must be sides in pixels, multiples of 32"
        )
    if spec.query_px and (spec.graph or spec.input_px % 32):
        raise ModelError(f"{path}: field 'query_px' needs a graph of several sizes, all of them multiples of 32")
    return spec


def write_spec(spec: ModelSpec, path: Path) -> None:
    """Write a ModelSpec as JSON."""
    path.write_text(json.dumps(asdict(spec), indent=2) + "\n", encoding="utf-8")
