"""Arguments and options that many commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options.second import stand_by
from cli.options.unlocking import prepare
from cli.render.notes import note
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from imgmatch.models.base import Embedder
    from imgmatch.types import ModelSpec
    from indexer.case.audit import AuditLog
    from indexer.case.case import Case
    from indexer.case.readlog import LogAlone

CaseArg = Annotated[Path, typer.Argument(metavar="CASE", help="Folder of the case.")]
ModelOpt = Annotated[str | None, typer.Option("--model", help="Model to use (default: the case's).")]
IsolationOpt = Annotated[
    bool, typer.Option("--isolation/--no-isolation", help="Decode pictures in confined processes of their own.")
]
DeviceOpt = Annotated[str, typer.Option("--device", help="Where the network runs: auto, cpu or cuda.")]
JobsOpt = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Threads (default: all usable cores).")]
TsaOpt = Annotated[
    list[Path] | None,
    typer.Option(
        "--tsa", metavar="CERT", help="Certificate of a time-stamp authority, or of who vouches for it (PEM, DER)."
    ),
]


def _in_language(name: str | None) -> str | None:
    from imgmatch.language import choose

    choose(name)
    return name


LanguageOpt = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="en|de|es|fr|auto",
        callback=_in_language,
        help="Language of the page or report; auto: that of the system (default: IMGMATCH_LANGUAGE, else English).",
    ),
]
StrictOpt = Annotated[bool, typer.Option("--strict", help="Exit with 3 when evidence could not be used.")]


def open_case(folder: Path, *, read_only: bool = False) -> Case:
    """The case that a CaseArg names; to be closed. ``read_only``: nothing is made or changed in its folder. Where its
    audit log is not as it was written, that is said at once.
    """
    from indexer.case.case import Case

    if folder.is_file():
        from indexer.out.exchange.unpack import told_of

        if (told := told_of(folder)) is not None:
            raise UsageError(f"{folder}: {told}")
    prepare()
    case = Case.open(folder, read_only=read_only)
    stand_by(case)
    if (fault := case.log.suspect()) is not None:
        note(f"imgmatch: WARNING: {fault}; the log is not as it was written, see: imgmatch audit verify {folder}")
    return case


@contextmanager
def open_log(folder: Path) -> Iterator[tuple[AuditLog | LogAlone, str]]:
    """The log of the case that a CaseArg names, and the case's id: of an encrypted one also for who holds the key of
    its log alone.
    """
    from indexer.case.readlog import log_alone

    prepare()
    alone = log_alone(folder) if folder.is_dir() else None
    if alone is not None:
        yield alone, alone.case_id
        return
    with open_case(folder) as opened:
        yield opened.log, opened.catalogue.meta.all().get("case_id", "")


def spec_of(case: Case, model: str | None) -> ModelSpec:
    """The model that a ModelOpt names."""
    from imgmatch.models import model_spec

    spec = model_spec(model) if model else case.default_model
    if spec.of_faces:
        raise UsageError(f"{spec.name}: turns faces into vectors, not pictures; see: imgmatch faces --help")
    return spec


def embedder_of(case: Case, model: str | None, device: str = "cpu", threads: int | None = None) -> Embedder:
    """The same, loaded."""
    from imgmatch.models import load_model

    return load_model(model or case.default_model.name, device=device, threads=threads)


def decode_soon(isolation: bool) -> None:
    """Say where pictures are decoded, as an IsolationOpt has it; workers come up while the command loads the rest."""
    from imgmatch.workers import pictures
    from imgmatch.workers.choice import set_isolated

    set_isolated(isolation)
    pictures.start()
