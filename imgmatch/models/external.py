"""Any timm or torchvision CNN with a weight file given by path, as an ONNX model of our own kind.

Import this module inside functions only: it loads torch.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import timm
import timm.data
import torch
import torchvision.models
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from imgmatch.errors import ModelError
from imgmatch.models.adding import add_model
from imgmatch.models.descriptions import write_spec
from imgmatch.models.network import GeM, PooledNetwork
from imgmatch.models.table import check_new_name
from imgmatch.optional import require
from imgmatch.types import ModelSpec

LIBRARIES = ("timm", "torchvision")
_HEADS = re.compile(r"(classifier|fc|heads?)(\.|$)")
_NAMED = 4
"""How many keys or names an error lists."""


@dataclass(frozen=True)
class Backbone:
    """A CNN up to its last feature map.

    ``module`` takes scaled float (N, 3, S, S) and gives (N, ``features``, h, w). ``mean`` and ``std`` are of pixels in
    0..1. ``head`` are the parameters, or beginnings of their names, that belong to the classifier and are left out.
    """

    library: str
    network: str
    module: nn.Module
    features: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_px: int
    head: tuple[str, ...]

    def of_head(self, key: str) -> bool:
        """Whether a parameter belongs to the classifier."""
        return any(key == name or key.startswith(f"{name}.") for name in self.head)


class FeatureNetwork(PooledNetwork):
    """A backbone's feature map, pooled by the generalised mean over weighted cells."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone.module
        self.pool = GeM()
        self.projection = nn.Identity()
        for name, values in (("mean", backbone.mean), ("std", backbone.std)):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1) * 255)

    def cells(self, pixels: Tensor) -> Tensor:
        """As PooledNetwork.cells."""
        return cast(Tensor, self.backbone((pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std))


class _TimmFeatures(nn.Module):
    """A timm network without what follows its feature map."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, scaled: Tensor) -> Tensor:
        return cast(Tensor, self.network.forward_features(scaled))  # type: ignore[operator]


def add_backbone(
    file: Path,
    library: str,
    network: str,
    *,
    input_px: int | None = None,
    name: str | None = None,
    licence: str | None = None,
    source: str | None = None,
) -> ModelSpec:
    """Add a network of ``timm`` or ``torchvision`` with the weights in ``file`` to this machine's models.

    ``file``: safetensors, or what ``torch.load(weights_only=True)`` reads; nothing is unpickled. ``input_px``: side of
    the input (default: the network's own). ``name``: default LIBRARY-NETWORK. Vectors are the generalised mean (p = 3)
    of the last feature map. Needs the extra ``train``. Raises ModelError in one line: an unknown network (with names
    that are close), one without a 2-D feature map, keys that are missing, unexpected or of another shape.
    """
    from imgmatch.models.export import export_onnx

    require("onnxscript", "train")
    name = name or f"{library}-{network}"
    backbone = find_backbone(library, network, input_px)
    check_new_name(name)
    sha256 = _load(backbone, file)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        target = folder / "model.onnx"
        try:
            export_onnx(FeatureNetwork(backbone).eval(), target, backbone.input_px)
        except ModelError:
            raise
        except Exception as error:  # the exporter's errors share no base of their own
            raise ModelError(
                f"{library} {network}: can't be exported to ONNX ({_line(error)}); choose another network"
            ) from error
        spec = ModelSpec(
            name=name,
            task="objects",
            dim=backbone.features,
            input_px=backbone.input_px,
            weights_file=target.name,
            weights_sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
            licence=licence or "not stated",
            source=source or f"{file.name} given by path, SHA-256 {sha256}",
            description=f"{network} of {library} {_version(library)}, generalised-mean pooling",
        )
        write_spec(spec, folder / "spec.json")
        return add_model(folder)


def find_backbone(library: str, network: str, input_px: int | None = None) -> Backbone:
    """Build a network, untrained, up to its last feature map. Raises ModelError as add_backbone does."""
    build = {"timm": _timm, "torchvision": _torchvision}[library]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backbone = build(network, input_px)
    backbone.module.eval()
    return backbone


def known_torchvision(network: str) -> None:
    """Raise ModelError, with names that are close, where torchvision has no classification network of this name."""
    names = torchvision.models.list_models(module=torchvision.models)
    if network not in names:
        raise ModelError(_unknown("torchvision", network, names))


def _timm(network: str, input_px: int | None) -> Backbone:
    # Never a name with a scheme ("hf-hub:..."): those are looked up on a server.
    if ":" in network or not timm.is_model(network):
        raise ModelError(_unknown("timm", network, timm.list_models()))
    try:
        net = timm.create_model(network, pretrained=False)
    except Exception as error:  # an unknown tag
        raise ModelError(_unknown("timm", network, timm.list_models(pretrained=True))) from error
    data = timm.data.resolve_model_data_config(net)
    side = input_px or int(data["input_size"][1])
    module, features = _TimmFeatures(net), int(net.num_features)
    shape = _try(f"timm {network}", module, side)
    if len(shape) != 4 or shape[1] != features:
        raise ModelError(_no_map("timm", network, side, shape))
    classifier = net.default_cfg.get("classifier") or ()
    head = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return Backbone("timm", network, module, features, data["mean"], data["std"], side, head)


def _torchvision(network: str, input_px: int | None) -> Backbone:
    known_torchvision(network)
    net = torchvision.models.get_model(network, weights=None).eval()
    presets = torchvision.models.get_model_weights(network).DEFAULT.transforms()
    side = input_px or int(presets.crop_size[0])
    label = f"torchvision {network}"
    # The last map is found by looking at every step's result: torchvision's networks name it in no common way.
    try:
        steps = [name for name in get_graph_node_names(net)[1] if not _HEADS.match(name)]
        with torch.inference_mode():
            results = create_feature_extractor(net, steps, suppress_diff_warning=True).eval()(
                torch.zeros(1, 3, side, side)
            )
    except Exception as error:  # what tracing meets in a network that it does not understand
        raise ModelError(f"{label}: can't be run at {side} px ({_line(error)}); choose another") from error
    shapes = [(name, tuple(value.shape)) for name, value in results.items() if isinstance(value, Tensor)]
    maps = [at for at, (_, shape) in enumerate(shapes) if len(shape) == 4 and shape[2] > 1 and shape[3] > 1]
    after = [shape for _, shape in shapes[maps[-1] + 1 :]] if maps else []
    if not maps or any(len(shape) == 3 for shape in after):  # tokens, as of a transformer
        raise ModelError(_no_map("torchvision", network, side, after[-1] if after else ()))
    last, shape = shapes[maps[-1]]
    module = create_feature_extractor(net, {last: "map"}, suppress_diff_warning=True)
    head = tuple(key for key in net.state_dict() if key not in module.state_dict())
    mean, std = tuple(presets.mean), tuple(presets.std)
    return Backbone("torchvision", network, _OnlyMap(module), shape[1], mean, std, side, head)


class _OnlyMap(nn.Module):
    """A feature extractor's one result, without the dictionary around it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, scaled: Tensor) -> Tensor:
        return cast(Tensor, self.network(scaled)["map"])


def _load(backbone: Backbone, file: Path) -> str:
    """Load a weight file into a backbone; gives the file's SHA-256."""
    label = f"{backbone.library} {backbone.network}"
    try:
        with file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{file}: can't be read ({error.strerror}); give a weight file of {label}") from error
    try:
        if file.suffix == ".safetensors":
            found: Any = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of another kind fails in many ways, all of them one error
        reason = "it is none, or holds Python objects" if file.suffix != ".safetensors" else _line(error)
        raise ModelError(
            f"{file}: can't be read as plain weights ({reason}); give .safetensors or a state dict"
        ) from error
    state = _state(found)
    module = cast(nn.Module, backbone.module.network)
    own = module.state_dict()
    faults = {
        "missing": [
            k for k in own if k not in state and not backbone.of_head(k) and not k.endswith("num_batches_tracked")
        ],
        "unexpected": [k for k in state if k not in own and not backbone.of_head(k)],
        "of another shape": [
            k for k in own if k in state and not backbone.of_head(k) and state[k].shape != own[k].shape
        ],
    }
    if any(faults.values()):
        parts = [f"{len(keys)} keys {what} ({_some(keys)})" for what, keys in faults.items() if keys]
        raise ModelError(f"{file}: does not fit {label}: {'; '.join(parts)}; check the network's name")
    module.load_state_dict({k: v for k, v in state.items() if k in own and not backbone.of_head(k)}, strict=False)
    return sha256


def _state(found: Any) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint by their names, out of what usually lies around them."""
    for name in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping):
        return {}
    tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    if tensors and all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def _try(label: str, module: nn.Module, side: int) -> tuple[int, ...]:
    try:
        with torch.inference_mode():
            return tuple(module.eval()(torch.zeros(1, 3, side, side)).shape)
    except Exception as error:  # a network that takes another size, or gives no tensor
        raise ModelError(
            f"{label}: can't be run at {side} px ({_line(error)}); choose another size or network"
        ) from error


def _no_map(library: str, network: str, side: int, shape: tuple[int, ...]) -> str:
    return (
        f"{library} {network}: gives {shape or 'no map'} at {side} px, not a feature map (channels, height, width); "
        "choose a CNN such as resnet50, mobilenetv3 or convnext"
    )


def _unknown(library: str, network: str, names: list[str]) -> str:
    close = difflib.get_close_matches(network, names, n=_NAMED + 1, cutoff=0.5)
    hint = f"close to it: {', '.join(close)}" if close else f"there are {len(names)}, such as {_some(names)}"
    return f"{library} has no network {network!r}; {hint}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _version(library: str) -> str:
    return str((timm if library == "timm" else torchvision).__version__)
