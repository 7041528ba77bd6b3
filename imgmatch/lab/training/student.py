"""The network as it is trained: folded, its first stages frozen, its two parts apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from imgmatch.models.network import DescriptorNetwork
from imgmatch.models.windows import in_training

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

    def cells(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to the last feature map, (N, C, h, w)."""
        return self.late(self.early(pixels))

    def early(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to the map that the frozen stages give, (N, C, h, w)."""
        backbone = self.network.backbone
        with torch.no_grad():
            cells = (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0
            cells = backbone.bn1(backbone.conv_stem(cells.contiguous(memory_format=torch.channels_last)))
            for stage in backbone.blocks[: self.frozen_stages]:
                cells = stage(cells)
        return cells

    def late(self, cells: Tensor) -> Tensor:
        """That map to the last one."""
        backbone = self.network.backbone
        for stage in backbone.blocks[self.frozen_stages :]:
            cells = stage(cells)
        return backbone.bn2(backbone.conv_head(cells))

    def pooled(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to the pooled features, (N, C)."""
        cells = self.cells(pixels)
        return self.network.pool(cells, cells.new_ones(len(cells), *cells.shape[2:]))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, S, S, 3) uint8 to the copy parts of its windows (N, R, copy), the whole first, and the place part of the
        whole (N, place), each of unit length.
        """
        network, cells = self.network, self.cells(pixels)
        assert network.parts is not None
        weights = torch.from_numpy(in_training((cells.shape[2], cells.shape[3]))).to(cells)
        copy, place = network.projection(network.pool.over(cells, weights)).split(network.parts, dim=2)
        return functional.normalize(copy, dim=2), functional.normalize(place[:, 0])


def pooled_features(
    student: Student, batches: Iterable[npt.NDArray[np.uint8]], device: torch.device
) -> npt.NDArray[np.float32]:
    """Pooled features of all batches, (N, C)."""
    with torch.inference_mode():
        found = [student.pooled(torch.from_numpy(batch).to(device)).cpu().numpy() for batch in batches]
    return np.concatenate(found)
