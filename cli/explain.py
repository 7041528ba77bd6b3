"""``imgmatch explain``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from cli.options import CaseArg, DeviceOpt, IsolationOpt, ModelOpt, decode_soon
from cli.progress import note
from cli.render import Format, emit_one


def explain(
    case: CaseArg,
    query: Annotated[Path, typer.Argument(metavar="QUERY", help="The query photograph.", show_default=False)],
    item: Annotated[int, typer.Argument(metavar="ITEM", help="The item_id of a match.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write the picture (PNG).", show_default=False)
    ],
    reveal: Annotated[
        bool,
        typer.Option("--reveal/--blur", help="Show the pictures as they are; recorded in the audit log."),
    ] = False,
    model: ModelOpt = None,
    device: DeviceOpt = "cpu",
    isolation: IsolationOpt = True,
    format: Annotated[Format, typer.Option("--format", help="How to write the figures.")] = Format.table,
) -> None:
    """Draw why a query and an item match: geometry, inliers, heat maps. Pictures are coarsened unless --reveal."""
    from imgmatch.models import load_model
    from indexer.case.case import Case
    from indexer.search.comparison import explain as run_explain

    with Case.open(case) as opened:
        decode_soon(isolation)
        embedder = load_model(model or opened.default_model.name, device=device)
        found = run_explain(opened, embedder, query, item, output, reveal=reveal)
    verification = found.verification
    record = {
        name: getattr(verification, name)
        for name in ("verified", "kind", "mirrored", "tentative", "inliers", "error_px", "overlap", "reason")
    }
    rest = {name: value for name, value in dataclasses.asdict(found).items() if name != "verification"}
    emit_one({**rest, **record, "output": str(output)}, format, None)
    note(f"Wrote {output}")
