"""What the command line has: every command, by one line each, in the order of ``imgmatch --help``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

import imgmatch
from cli.commands import (
    audit,
    case,
    check,
    demo,
    doctor,
    exchange,
    faces,
    index,
    ingest,
    known,
    matches,
    models,
    relocate,
    review,
    search,
    show,
)
from cli.options.spread import spread


def _app(help: str) -> typer.Typer:
    return typer.Typer(
        name="imgmatch", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, help=help
    )


def _add(to: typer.Typer, command: Callable[..., None], name: str | None = None) -> None:
    to.command(name)(spread(command))


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"imgmatch {imgmatch.__version__}\n")
        raise typer.Exit


app = _app(
    "Finds the same picture, the same room or the same object among the photographs of a case, offline.\n\n"
    "A score is a lead for an examiner, never a verdict."
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


_add(app, search.explain)
_add(app, show.show)
_add(app, exchange.import_, "import")
_add(app, review.review)
_add(app, matches.calibrate)
_add(app, matches.groups)
_add(app, matches.link)
_add(app, matches.decide)
_add(app, demo.demo)
_add(app, doctor.doctor)
_add(app, case.init)
_add(app, ingest.ingest)
_add(app, search.search)
_add(app, exchange.export)
_add(app, case.status)
_add(app, case.issues)
_add(app, check.check)
_add(app, case.delete)
_add(app, case.merge)
_add(app, relocate.relocate)

models_app = _app("The networks that turn pictures into vectors.")
_add(models_app, models.list_, "list")
_add(models_app, models.show)
_add(models_app, models.verify)
_add(models_app, models.add)
_add(models_app, models.download)
_add(models_app, models.train)
_add(models_app, models.quantise)
_add(models_app, models.render)
_add(models_app, models.evaluate)
app.add_typer(models_app, name="models")

index_app = _app("The index of a case: a cache over its vectors, built again at will.")
index_app.callback()(index.of_case)
_add(index_app, index.move)
_add(index_app, index.build)
_add(index_app, index.info)
_add(index_app, index.compact)
app.add_typer(index_app, name="index")

audit_app = _app("Who did what with a case: the log, its verification, statements of runs.")
_add(audit_app, audit.verify)
_add(audit_app, audit.head)
_add(audit_app, audit.show)
_add(audit_app, audit.statement)
_add(audit_app, audit.verify_statement)
app.add_typer(audit_app, name="audit")

known_app = _app("Lists of known files, by their hashes: what to ignore, what to tell.")
_add(known_app, known.import_, "import")
_add(known_app, known.list_, "list")
_add(known_app, known.remove)
_add(known_app, known.match)
app.add_typer(known_app, name="known")

faces_app = _app(
    "A person in a case, by faces: only where its owner opened the gate, and every use with its reason.\n\n"
    "A list of leads, never an identification."
)
_add(faces_app, faces.enable)
_add(faces_app, faces.disable)
_add(faces_app, faces.find)
_add(faces_app, faces.show)
_add(faces_app, faces.search)
_add(faces_app, faces.group)
_add(faces_app, faces.people)
_add(faces_app, faces.person)
_add(faces_app, faces.name)
_add(faces_app, faces.join)
_add(faces_app, faces.split)
_add(faces_app, faces.calibrate)
_add(faces_app, faces.decide)
_add(faces_app, faces.evaluate)
app.add_typer(faces_app, name="faces")
