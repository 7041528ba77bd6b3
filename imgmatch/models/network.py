"""The networks in torch: a timm EfficientNet-Lite, generalised-mean pooling that can leave cells out, unit length.

ONNX files are exports of what stands here (``imgmatch.models.export``). Import this module inside functions only:
it loads torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import timm
import torch
from torch import Tensor, nn

BACKBONES = {
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "efficientnet_lite1": "tf_efficientnet_lite1",
    "efficientnet_lite2": "tf_efficientnet_lite2",
}

_BLOCK_PARTS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# A block without expansion (the first) has one layer less, and timm numbers its parts from one.
_FIRST_BLOCK_PARTS = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OUTER_PARTS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def reference_to_timm(state: Mapping[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Rename the keys of the reference EfficientNet-Lite packages (``_blocks.N._expand_conv``) to timm's, one to one.

    Raises KeyError where a key has no counterpart in ``backbone``.
    """
    stages = cast(nn.Sequential, backbone.blocks)
    places = [(s, b) for s, stage in enumerate(stages) for b in range(len(cast(nn.Sequential, stage)))]
    expected = backbone.state_dict().keys()
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        match = re.match(r"_blocks\.(\d+)\.(\w+)\.(.+)", key)
        if match:
            stage, block = places[int(match[1])]
            parts = _FIRST_BLOCK_PARTS if stage == 0 else _BLOCK_PARTS
            new = f"blocks.{stage}.{block}.{parts[match[2]]}.{match[3]}"
        else:
            outer, _, rest = key.partition(".")
            new = f"{_OUTER_PARTS[outer]}.{rest}"
        if new not in expected:
            raise KeyError(f"{key} maps to {new}, which the network lacks")
        renamed[new] = value
    return renamed


class GeM(nn.Module):
    """Generalised-mean pooling (Radenovic et al., arXiv 1711.02512) over cells that each have a weight.

    ``cells`` is (N, C, h, w); ``weights`` is (N, h, w), 0 for a cell to leave out, 1 for one to keep.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))
        self.eps = eps

    def forward(self, cells: Tensor, weights: Tensor) -> Tensor:
        """Pool to (N, C)."""
        kept = weights.unsqueeze(1)
        powered = cells.clamp(min=self.eps).pow(self.p) * kept
        mean = powered.sum((2, 3)) / kept.sum((2, 3)).clamp(min=self.eps)
        return mean.pow(1.0 / self.p)

    def over(self, cells: Tensor, windows: Tensor) -> Tensor:
        """Pool every map within each of the same ``windows`` (R, h, w): (N, R, C)."""
        powered = cells.clamp(min=self.eps).pow(self.p)
        shares = windows / windows.sum((1, 2), keepdim=True)
        return torch.einsum("nchw,rhw->nrc", powered, shares).clamp(min=1e-12).pow(1.0 / self.p)


class PooledNetwork(nn.Module):
    """What every network here is: a feature map, pooled over weighted cells, projected, brought to unit length.

    Subclasses set ``pool`` and ``projection``, and give ``cells``.
    """

    pool: GeM
    projection: nn.Module

    def cells(self, pixels: Tensor) -> Tensor:
        """The last feature map, (N, C, h, w), of (N, S, S, 3) uint8 sRGB pixels."""
        raise NotImplementedError

    def join(self, projected: Tensor) -> Tensor:
        """Unit vectors from the projection's output, (N, dim) to (N, dim)."""
        return nn.functional.normalize(projected)

    def forward(self, pixels: Tensor, weights: Tensor) -> Tensor:
        """Unit vectors, (N, dim) float32, of pixels and (N, h, w) cell weights."""
        return self.join(self.projection(self.pool(self.cells(pixels), weights)))


class DescriptorNetwork(PooledNetwork):
    """uint8 sRGB pixels (N, S, S, 3) and cell weights (N, h, w) to unit vectors (N, dim).

    ``dim`` None keeps the pooled features themselves (1280 for Lite0); otherwise a linear projection follows. With
    ``parts`` the projection's output is joined from parts of these lengths (their sum is the dimension), each of unit
    length times its entry in the buffer ``part_weights``, so that the cosine of two vectors is a fixed mixture of the
    parts' cosines.
    """

    part_weights: Tensor

    def __init__(
        self,
        backbone: str = "efficientnet_lite0",
        dim: int | None = None,
        gem_p: float = 3.0,
        parts: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = timm.create_model(BACKBONES[backbone], pretrained=False, num_classes=0, global_pool="")
        self.pool = GeM(gem_p)
        features = self.backbone.num_features
        self.parts = parts
        if parts:
            dim = sum(parts)
            self.register_buffer("part_weights", torch.full((len(parts),), len(parts) ** -0.5))
        self.dim = dim or features
        self.projection = nn.Linear(features, dim) if dim else nn.Identity()

    def cells(self, pixels: Tensor) -> Tensor:
        """The last feature map, (N, C, h, w) with h = w = S / 32."""
        normal = (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0
        return self.backbone(normal)

    def join(self, projected: Tensor) -> Tensor:
        """As PooledNetwork.join."""
        if self.parts:
            pieces = projected.split(self.parts, dim=1)
            weighted = [nn.functional.normalize(p) * self.part_weights[i] for i, p in enumerate(pieces)]
            projected = torch.cat(weighted, dim=1)
        return nn.functional.normalize(projected)


def load_reference_weights(network: DescriptorNetwork, state: Mapping[str, Tensor]) -> None:
    """Load a reference package's ImageNet weights into the backbone; its classifier is left out."""
    named = reference_to_timm({k: v for k, v in state.items() if not k.startswith("_fc.")}, network.backbone)
    network.backbone.load_state_dict(named)
