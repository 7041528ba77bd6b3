"""What commands on faces share, and what ingest asks of the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.render.notes import note
from imgmatch.errors import MissingPackageError

if TYPE_CHECKING:
    from imgmatch.models.faces.reader import FaceReader
    from indexer.case.case import Case

ReasonOpt = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]
UnfitOpt = Annotated[
    bool, typer.Option("--unfit", help="Also faces that are too small, blurred, turned away or cut off.")
]


def reader_of(case: Case, threads: int | None = None) -> FaceReader:
    """The model of faces of a case, loaded. Raises CaseError where its gate is closed."""
    from imgmatch.models.faces.reader import load_faces

    return load_faces(case.face_shelf().spec.name, threads=threads)


def reader_where_open(case: Case) -> FaceReader | None:
    """The same for an ingest, one thread each; None where the gate is closed, and, said in a line, where the package is
    not installed here.
    """
    from indexer.case.gate import gate_of

    if gate_of(case.catalogue.meta.all()) is None:
        return None
    try:
        return reader_of(case, threads=1)
    except MissingPackageError as error:
        note(f"imgmatch: no face is looked for in this ingest: {error}; later: imgmatch faces find {case.path}")
        return None
