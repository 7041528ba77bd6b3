"""What the command line has: every command, by one line each, in the order in which a case is worked on."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import imgmatch
from cli.options import second, unlocking
from cli.options.lazy import Family, Row, Table, lazy, settings
from cli.options.unlocking import FdOpt, IdentityOpt, PersonOpt
from cli.render.notes import be_quiet

COMMANDS: Table = {
    "demo": Row("demo.demo", "Make a complete small case from rooms of rendered hotels"),
    "exercise": Row(
        "exercise.exercise",
        "Make a case to learn with, of rendered hotels: a story, questions, and a key that marks the answers",
    ),
    "doctor": Row(
        "doctor.doctor",
        "Say what is installed, what is missing for which sources, and whether this machine can do the work",
    ),
    "init": Row("case.init", "Make a new, empty case"),
    "ingest": Row("ingest.ingest", "Bring pictures into a case"),
    "watch": Row(
        "watch.watch",
        "Bring pictures into a case as they arrive in a folder, until Ctrl-C or SIGTERM, which end it cleanly",
    ),
    "status": Row("case.status", "What a case holds"),
    "issues": Row("case.issues", "List the evidence that could not be used, and why"),
    "search": Row(
        "search.search",
        "Find the items of a case, or of several, that look most like each query photograph",
        "search.CasesFirst",
    ),
    "review": Row("review.review", "Look through matches in the browser, on this machine only"),
    "explain": Row("search.explain", "Draw why a query and an item match"),
    "show": Row("show.show", "Everything known of one item"),
    "decide": Row("matches.decide", "Say what you make of a match"),
    "groups": Row("matches.groups", "Near-copies within a case"),
    "link": Row("matches.link", "Which items of a case match which of another, with their false-match rates"),
    "overview": Row(
        "overview.overview",
        "Which places, cameras, advertisements, telephone numbers and accounts are tied by which matches",
    ),
    "faces": Family(
        "A person in a case, by faces: only where its owner opened the gate, and every use with its reason.\n\n"
        "A list of leads, never an identification.",
        {
            "enable": Row("faces.enable", "Open the gate"),
            "disable": Row("faces.disable", "Close the gate"),
            "find": Row("faces.find", "Look for faces in what the case holds and was not looked through yet"),
            "show": Row("faces.show", "The faces in a picture, numbered from left to right"),
            "search": Row("faces.search", "Find the items that show a person, by photographs of that person"),
            "link": Row("faces.link", "Faces of a case that are like those of a pack"),
            "group": Row("people.group", "Put the faces of a case together to people, without names"),
            "people": Row("people.people", "Who is in a case"),
            "person": Row("people.person", "Where else a person is"),
            "name": Row("people.name", "Give a person your own label"),
            "join": Row("people.join", "Say that two or more people are one"),
            "split": Row("people.split", "Say that some faces of a person are another's"),
            "calibrate": Row(
                "faces.calibrate",
                "Measure which scores faces of different people reach, so that searches can say a false-match rate",
            ),
            "decide": Row("faces.decide", "Say whether two faces are one person's, after both were looked at"),
            "evaluate": Row("faces.evaluate", "Measure a model on labelled faces"),
        },
    ),
    "calibrate": Row(
        "matches.calibrate",
        "Measure how often different pictures score high, so that matches can say their false-match rate",
    ),
    "export": Row("exchange.export", "Write a report, or what other programs and offices read"),
    "import": Row("exchange.import_", "Bring in known media by hash"),
    "known": Family(
        "Lists of known files, by their hashes: what to ignore, what to tell.",
        {
            "import": Row("known.import_", "Import a list"),
            "list": Row("known.list_", "The lists of a case"),
            "remove": Row("known.remove", "Forget a list"),
            "match": Row(
                "known.match", "Which items and files of a case are on its lists, also on lists imported after them"
            ),
        },
    ),
    "merge": Row("case.merge", "Add other cases' items, sightings, labels, issues, decisions, vectors"),
    "relocate": Row("relocate.relocate", "Sources lie on another disk, drive letter or machine now"),
    "check": Row("check.check", "Verify a case"),
    "audit": Family(
        "Who did what with a case: the log, its verification, statements of runs.",
        {
            "verify": Row("audit.verify", "Find any edit, cut, reorder or gap in the audit log, its end included"),
            "head": Row("audit.head", "The number and SHA-256 of the last entry"),
            "show": Row("audit.show", "List the audit log"),
            "export": Row(
                "attest.export",
                "Copy the log as it stands, for somebody without the case to verify",
            ),
            "receipt": Row("attest.receipt", "The log's head as 8 words to note elsewhere"),
            "signer": Row("attest.signer", "Make somebody known who signs the log with a key of their own"),
            "stamp": Row("attest.stamp", "Keep a time-stamp of the log with it (RFC 3161), to be verified offline"),
            "statement": Row(
                "audit.statement",
                "State what a run read, found and could not use, with totals that add up, bound to the audit log",
            ),
            "verify-statement": Row(
                "audit.verify_statement",
                "Check that a statement and its lists are as they were made, and who signed it",
            ),
        },
    ),
    "terms": Family(
        "What a case is for, on whose authority, until when it is kept, and what it demands.",
        {
            "show": Row(
                "terms.show",
                "What a case is for, on whose authority, by which consent, until when it is kept, and what it demands",
            ),
            "set": Row("terms.set_", "Change what a case says of itself"),
            "extend": Row("terms.extend", "Let a case be used up to a later day, also when it has expired"),
        },
    ),
    "releases": Row("terms.releases", "What has left a case"),
    "delete": Row("erasure.delete", "Erase items from a case for good"),
    "readmit": Row("erasure.readmit", "Let contents that were erased into a case again"),
    "erasures": Row("erasure.erasures", "List what was erased from a case"),
    "encrypt": Row("vault.encrypt", "Encrypt a case"),
    "decrypt": Row("vault.decrypt", "Make a plain case of an encrypted one"),
    "access": Family(
        "Who can open an encrypted case, and as what.",
        {
            "list": Row("access.list_", "Who can open an encrypted case, as what, and which of its keys they hold"),
            "grant": Row("access.grant", "Let somebody in, by their public key or a passphrase"),
            "revoke": Row("access.revoke", "Put somebody out"),
            "passphrase": Row("access.passphrase", "Change the passphrase by which you open a case"),
            "rotate": Row("access.rotate", "Seal the case anew, by new keys, for the same people"),
            "key": Row("access.key", "The public key of an encrypted case"),
            "take-in": Row("access.take_in", "Add what was handed in to a case"),
        },
        "index.EitherOrder",
    ),
    "deliver": Row(
        "access.deliver", "Hand pictures in to an encrypted case, without being able to read anything of it"
    ),
    "destroy": Row("vault.destroy", "Destroy a case for good"),
    "index": Family(
        "The index of a case: a cache over its vectors, built again at will.",
        {
            "move": Row("index.move", "Bring the index to a Milvus server, or back to files"),
            "build": Row("index.build", "Build the index"),
            "info": Row("index.info", "Which index a model's vectors have, why, and what it was measured to reach"),
            "compact": Row("index.compact", "Remove deleted vectors from the disk, and put small segments together"),
        },
        "index.EitherOrder",
    ),
    "models": Family(
        "The networks that turn pictures into vectors.",
        {
            "list": Row("models.list_", "The models that imgmatch knows, and whether their weights are here"),
            "show": Row("models.show", "Everything known of one model"),
            "verify": Row("models.verify", "Check weight files against their SHA-256"),
            "add": Row("models.add", "Check a model and make it known on this machine by its name"),
            "download": Row("models.download", "Fetch torchvision's own ImageNet weights and add them"),
            "train": Row("models.train", "Train a model on your own photographs, with or without labels"),
            "quantise": Row("models.quantise", "Make an 8-bit version of a model"),
            "render": Row("models.render", "Render rooms of hotels that never were, to train on"),
            "evaluate": Row("models.evaluate", "Measure a model on a public data set that you hold"),
        },
    ),
    "serve": Family(
        "A search service for a laboratory: imgmatch serve CASE... --people FILE --cert FILE --key FILE.",
        {
            "run": Row("serve.run", "Hold cases open for people with tokens"),
            "token": Family(
                "The people of a service: who may ask, for which cases.",
                {
                    "add": Row("serve.add", "Make a token for a person and print it, once"),
                    "list": Row("serve.list_", "Who has tokens, for which cases, and whether they are valid"),
                    "revoke": Row("serve.revoke", "End all tokens of a person"),
                },
            ),
        },
        "serve.RunByDefault",
    ),
    "scheduler": Row(
        "cluster.scheduler",
        "Give out the work of ingests to workers, until Ctrl-C or SIGTERM. Beyond this machine, only with TLS",
    ),
    "worker": Row("cluster.worker", "Read, decode and embed for ingests of other machines, until Ctrl-C or SIGTERM"),
    "validate": Family(
        "A validation of this installation, as a laboratory files it: imgmatch validate DIR.",
        {
            "run": Row("validate.run", "Try every requirement on this machine and write a report to file"),
            "check": Row("validate.check", "Check that a report is as it was made, and by whom"),
            "compare": Row("validate.compare", "Say what a later validation gave otherwise"),
        },
        "validate.RunByDefault",
    ),
}
"""A test holds the sentences to those of the commands."""

app = typer.Typer(
    cls=lazy(COMMANDS),
    **settings(
        "Finds the same picture, the same room or the same object among the photographs of a case, offline.\n\n"
        "A score is a lead for an examiner, never a verdict."
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"imgmatch {imgmatch.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only results, warnings and errors.")] = False,
    person: PersonOpt = None,
    identity: IdentityOpt = None,
    passphrase_fd: FdOpt = None,
    second_name: second.NameOpt = None,
    second_identity: second.IdentityOpt = None,
    second_fd: second.FdOpt = None,
) -> None:
    unlocking.given(person, identity, passphrase_fd)
    second.given(second_name, second_identity, second_fd)
    if quiet:
        be_quiet()
