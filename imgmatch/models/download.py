"""torchvision's own ImageNet weights, fetched on an explicit command: the only place here that uses a network.

Import this module inside functions only: it loads torch.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torchvision.models

from imgmatch.errors import ModelError
from imgmatch.models.external import add_backbone, find_backbone, known_torchvision
from imgmatch.models.table import check_new_name
from imgmatch.types import ModelSpec


@dataclass(frozen=True)
class Offer:
    """What would be fetched: torchvision's current weights of a network."""

    network: str
    weights: Any
    url: str
    size_mb: float
    licence: str

    def __str__(self) -> str:
        return f"{self.url}, {self.size_mb:.1f} MB; licence: {self.licence}"


def offer(network: str) -> Offer:
    """Describe what ``download`` would fetch. Raises ModelError, with close names, on an unknown one."""
    known_torchvision(network)
    weights = torchvision.models.get_model_weights(network).DEFAULT
    # torchvision says so where weights have a licence apart; of the others it says that data may bring terms.
    licence = weights.meta.get("license", "BSD-3-Clause (torchvision); trained on ImageNet, see its terms")
    return Offer(network, weights, weights.url, float(weights.meta["_file_size"]), licence)


def download(
    offered: Offer, *, input_px: int | None = None, name: str | None = None, licence: str | None = None
) -> ModelSpec:
    """Fetch weights, check them against the hash in their name, and add the network as add_backbone does.

    Raises ModelError where there is no network, naming the address, so that the file can be brought another way.
    """
    name = name or f"torchvision-{offered.network}"
    check_new_name(name)
    find_backbone("torchvision", offered.network, input_px)  # a network that can't be used is not fetched
    with tempfile.TemporaryDirectory() as scratch:
        try:
            offered.weights.get_state_dict(progress=False, check_hash=True, model_dir=scratch, weights_only=True)
        except Exception as error:  # no network, a server's refusal, a wrong hash
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ModelError(
                f"{offered.url}: can't be fetched ({reason}); bring the file from another machine and run: "
                f"imgmatch models add FILE --torchvision {offered.network}"
            ) from error
        return add_backbone(
            Path(scratch) / Path(offered.url).name,
            "torchvision",
            offered.network,
            input_px=input_px,
            name=name,
            licence=licence or offered.licence,
            source=f"torchvision {torchvision.__version__}, {offered.weights}, from {offered.url}",
        )
