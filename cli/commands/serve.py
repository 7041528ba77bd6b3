"""``imgmatch serve``: a search service for a laboratory, and the tokens of its people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.commands.validate import RunByDefault
from cli.options.common import IsolationOpt, ModelOpt, decode_soon
from cli.options.output import Output
from cli.render.notes import note
from imgmatch.errors import UsageError

__all__ = ["RunByDefault", "add", "list_", "revoke", "run"]

PeopleArg = Annotated[Path, typer.Argument(metavar="FILE", help="The file of people; it holds hashes, no token.")]
PersonArg = Annotated[str, typer.Argument(metavar="NAME", help="Who it is, as logs are to name them.")]


def run(
    cases: Annotated[
        list[str], typer.Argument(metavar="CASE...", help="Cases to hold, by their folders' names; or NAME=PATH.")
    ],
    people: Annotated[Path, typer.Option("--people", metavar="FILE", help="Who may ask: imgmatch serve token add.")],
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port (0: a random one).")] = 8443,
    cert: Annotated[Path | None, typer.Option("--cert", metavar="FILE", help="Certificate chain (PEM).")] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Its private key (PEM).")] = None,
    http: Annotated[bool, typer.Option("--http", help="Plain HTTP, on an address of this machine alone.")] = False,
    rate: Annotated[
        int, typer.Option("--rate", min=0, max=1_000_000, metavar="N", help="Requests a minute a person (0: any).")
    ] = 600,
    most_hours: Annotated[
        float, typer.Option("--most-hours", min=0, max=8760, metavar="N", help="End after so long (0: never).")
    ] = 0,
    model: ModelOpt = None,
    isolation: IsolationOpt = True,
) -> None:
    """Hold cases open for people with tokens: searches as JSON over HTTPS, each recorded with who asked."""
    from cli.serve.holding import held_cases
    from cli.serve.people import People
    from cli.serve.server import Place
    from cli.serve.server import run as serve

    place = Place(host, port, cert, key, http, rate, most_hours * 3600)
    place.require()
    known = People(people)
    decode_soon(isolation)
    with held_cases(cases, model, {"host": host, "port": port, "tls": not http}) as holding:
        why = serve(holding, known, place, _say)
    note(f"imgmatch: the service has ended ({why})")


def _say(what: str, words: str) -> None:
    if what == "refused":
        note(f"imgmatch: refused: {words} (said once; how often stands in the audit logs when the service ends)")
        return
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
    note("Ends with Ctrl-C. Ask it: imgmatch search ADDRESS QUERY, with the token in IMGMATCH_SERVICE_TOKEN")


def add(
    file: PeopleArg,
    name: PersonArg,
    only: Annotated[
        list[str] | None, typer.Option("--case", metavar="NAME", help="Only this case; may be repeated.")
    ] = None,
    every: Annotated[bool, typer.Option("--all-cases", help="Every case that the service holds.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="May see pictures as they are.")] = False,
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="The token ends then (UTC).")] = "",
) -> None:
    """Make a token for a person and print it, once; the file keeps its hash."""
    from cli.serve import people
    from indexer.catalogue import filters

    if bool(only) == every:
        raise UsageError("say which cases it is for: --case NAME, or --all-cases")
    wanted = [people.ALL] if every else only or []
    token = people.add(file, name, wanted, reveal=reveal, until=filters.date(until) if until else "")
    sys.stdout.write(f"{token}\n")
    note(f"Give it to {name} alone, and not by mail; {file} keeps its hash. It stands nowhere else.")


def list_(file: PeopleArg, *, out: Output) -> None:
    """Who has tokens, for which cases, and whether they are valid."""
    from cli.serve.people import read
    from indexer.catalogue.clock import now_utc

    now = now_utc()
    records = (
        {
            "name": one.name,
            "state": one.state(now),
            "cases": list(one.cases),
            "reveal": one.reveal,
            "made_utc": one.made_utc,
            "until": one.until,
            "revoked_utc": one.revoked_utc,
            "token": f"SHA-256 {one.token_sha256[:12]}",
        }
        for one in read(file)
    )
    out.many(records, ["name", "state", "cases", "reveal", "made_utc", "until", "revoked_utc", "token"])


def revoke(file: PeopleArg, name: PersonArg) -> None:
    """End all tokens of a person; a service that runs lets them in no more."""
    from cli.serve import people

    count = people.revoke(file, name)
    note(f"{count} token{'s' * (count > 1)} of {name} ended")
