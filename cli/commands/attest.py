"""``imgmatch audit export``, ``receipt``, ``signer``, ``stamp``: what proves the log to others, and later."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import CaseArg, TsaOpt, open_case, open_log
from cli.options.output import Output
from cli.render.notes import note
from imgmatch.errors import UsageError


def export(
    case: CaseArg,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="New file (JSON Lines).")],
) -> None:
    """Copy the log as it stands, for somebody without the case to verify: audit verify FILE."""
    from indexer.out.atomic import whole_file

    with open_log(case) as (log, _), whole_file(output) as file:
        count = log.copy_to(file)
    note(f"{output}: {count:,} entries, as they stand; verify them with: imgmatch audit verify {output}")


def receipt(
    case: CaseArg,
    qr: Annotated[
        Path | None, typer.Option("--qr", metavar="FILE.svg|png", help="Also write its QR code; needs imgmatch[sign].")
    ] = None,
    request: Annotated[
        Path | None,
        typer.Option(metavar="FILE.tsq", help="Also write what a time-stamp authority is sent (RFC 3161)."),
    ] = None,
    *,
    out: Output,
) -> None:
    """The log's head as 8 words to note elsewhere: an older copy of the case put in its place does not have them."""
    from indexer.case import receipt as receipts
    from indexer.out.atomic import refuse_existing, whole_file
    from indexer.out.codes import qr_code

    for target in (qr, request):
        if target is not None:
            refuse_existing(target)
    with open_log(case) as (log, case_id):
        head = log.head()
    text = receipts.text(case_id, head)
    if qr is not None:
        kind = qr.suffix.lower().removeprefix(".")
        if kind not in ("svg", "png"):
            raise UsageError(f"{qr}: a QR code is a file that ends in .svg or .png")
        code = qr_code(text, kind)
        with whole_file(qr) as file:
            file.write(code)
    if request is not None:
        from indexer.care.stamps import request as requested

        asked = requested(case_id, head)
        with whole_file(request) as file:
            file.write(asked)
        note(f"{request}: for a time-stamp authority; attach its answer with: imgmatch audit stamp {case} FILE.tsr")
    out.one({"entry": head.entry, "words": receipts.words(head), "sha256": head.sha256, "text": text})
    note(f'Note the words elsewhere; later: imgmatch audit verify {case} --receipt "{receipts.words(head)}"')


def signer(
    case: CaseArg,
    name: Annotated[str, typer.Option(help="Who signs.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="Their Ed25519 public key (PEM).")],
    remove: Annotated[bool, typer.Option("--remove", help="They sign no more; what they signed stays known.")] = False,
    *,
    out: Output,
) -> None:
    """Make somebody known who signs the log with a key of their own. Only the owner of the case may."""
    from indexer.care.signers import introduce

    with open_case(case) as opened:
        known = introduce(opened, name, key, remove=remove)
    out.many(({"name": called, "public_key": digits} for digits, called in known.items()), ["name", "public_key"])


def stamp(
    case: CaseArg,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The answer of a time-stamp authority (TimeStampResp).")],
    tsa: TsaOpt = None,
    *,
    out: Output,
) -> None:
    """Keep a time-stamp of the log with it (RFC 3161), to be verified offline; audit receipt --request asks for one."""
    from indexer.care.stamps import attach

    with open_case(case) as opened:
        out.one(attach(opened, file, tsa or ()))
