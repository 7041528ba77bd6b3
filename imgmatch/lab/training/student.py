"""The network as it is trained: folded, its first stages frozen, its two parts apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from imgmatch.models.network import DescriptorNetwork

ALL_STAGES = 7


class Student(nn.Module):
    """A folded network whose stem and first stages are frozen: pixels to the copy part and the place part."""

    def __init__(self, folded: DescriptorNetwork, frozen_stages: int) -> None:
        super().__init__()
        self.network = folded.to(memory_format=torch.channels_last)
        self.frozen_stages = frozen_stages
        backbone = folded.backbone
        for part in (backbone.conv_stem, *backbone.blocks[:frozen_stages]):
            part.requires_grad_(False)

    def pooled(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to the pooled features, (N, C)."""
        backbone = self.network.backbone
        with torch.no_grad():
            cells = (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0
            cells = backbone.bn1(backbone.conv_stem(cells.contiguous(memory_format=torch.channels_last)))
            for stage in backbone.blocks[: self.frozen_stages]:
                cells = stage(cells)
        for stage in backbone.blocks[self.frozen_stages :]:
            cells = stage(cells)
        cells = backbone.bn2(backbone.conv_head(cells))
        return self.network.pool(cells, cells.new_ones(len(cells), *cells.shape[2:]))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, S, S, 3) uint8 to the copy part (N, copy) and the place part (N, place), each of unit length."""
        assert self.network.parts is not None
        copy, place = self.network.projection(self.pooled(pixels)).split(self.network.parts, dim=1)
        return functional.normalize(copy), functional.normalize(place)


def pooled_features(
    student: Student, batches: Iterable[npt.NDArray[np.uint8]], device: torch.device
) -> npt.NDArray[np.float32]:
    """Pooled features of all batches, (N, C)."""
    with torch.inference_mode():
        found = [student.pooled(torch.from_numpy(batch).to(device)).cpu().numpy() for batch in batches]
    return np.concatenate(found)
