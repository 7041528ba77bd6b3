"""Every operation on a case, in one table: who may do it, and whether a case that has expired still lets it be done.

An operation bears the name that its entry in the audit log has. Those that leave none (the numbers of a case, its log
itself) have a row too. What a use shows beyond that is an operation of its own: ``reveal``, ``pictures``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Role(enum.StrEnum):
    """What a person is in a case."""

    owner = "owner"
    examiner = "examiner"
    reviewer = "reviewer"
    contributor = "contributor"
    auditor = "auditor"


class Operation(NamedTuple):
    """``does``: in words. ``roles``: who may. ``outlives``: also in a case that has expired. ``looks``: a search, whose
    reason a case may demand. ``leaves``: what is made leaves the case, so that recipient and purpose may be demanded.
    ``two``: a second person's key may be demanded.
    """

    does: str
    roles: frozenset[Role]
    outlives: bool = False
    looks: bool = False
    leaves: bool = False
    two: bool = False


_OWNER = frozenset({Role.owner})
_EXAMINERS = frozenset({Role.owner, Role.examiner})
_REVIEWERS = frozenset({Role.owner, Role.examiner, Role.reviewer})
_AUDITORS = frozenset({Role.owner, Role.examiner, Role.reviewer, Role.auditor})
_CONTRIBUTORS = frozenset({Role.owner, Role.examiner, Role.contributor})


def _rows() -> Iterator[tuple[str, Operation]]:
    def row(names: str, does: str, roles: frozenset[Role], **more: bool) -> Iterator[tuple[str, Operation]]:
        for name in names.split(", "):
            yield name, Operation(does, roles, **more)

    yield from row("status", "numbers, models, settings, terms", _AUDITORS, outlives=True)
    yield from row("audit", "the log: read, verified, its head and receipt", _AUDITORS, outlives=True)
    yield from row("deliver", "hand pictures in, sealed by the case's public key, and read nothing", _CONTRIBUTORS)
    yield from row("reveal", "a picture shown clearly, in whatever way", _EXAMINERS, two=True)
    yield from row("pictures", "small pictures that leave the case, blurred or clear", _EXAMINERS, two=True)

    yield from row("face vectors", "faces that leave the case in a pack, where its gate is open", _EXAMINERS, two=True)

    yield from row("init", "make the case", _OWNER, outlives=True)
    yield from row("terms", "change what a case says of itself and demands", _OWNER, outlives=True)
    yield from row("extend", "let an expired case be used again", _OWNER, outlives=True)
    yield from row("encrypt, rotate, revoke", "encrypt it, by other keys, for fewer people", _OWNER, outlives=True)
    yield from row("decrypt", "make a plain case of it", _OWNER, outlives=True, two=True)
    yield from row("grant", "let somebody in", _OWNER, outlives=True)
    yield from row("passphrase", "change the passphrase by which one opens it oneself", _REVIEWERS, outlives=True)
    yield from row("list access", "say who can open the case", _EXAMINERS, outlives=True)
    yield from row("destroy", "end its keys and all its files", _OWNER, outlives=True, two=True)
    yield from row("open face gate", "let faces be looked for", _OWNER)
    yield from row("close face gate", "let faces be looked for no more, or erase them", _OWNER, outlives=True)
    yield from row("second_reader", "demand that two examiners agree", _OWNER)
    yield from row("delete, erase", "erase for good", _OWNER, outlives=True, two=True)
    yield from row(
        "delete_planned, erasures, certificate", "say what would go, and what went", _EXAMINERS, outlives=True
    )
    yield from row("readmit", "let what was erased in again", _OWNER)
    yield from row("index_move_started, index_move, index_left", "the index goes to a server, or back", _OWNER)

    yield from row("ingest_started, ingest", "bring pictures in", _EXAMINERS)
    yield from row("merge_started, merge, import, pack_started, pack", "bring in what others made", _EXAMINERS)
    yield from row("import hash list, match hash list, remove hash list", "lists of known files", _EXAMINERS)
    yield from row("index, compact, repair", "look after files of the case", _EXAMINERS)
    yield from row("relocate", "say that sources lie elsewhere", _EXAMINERS)
    yield from row("followed", "a portable case, found elsewhere than it lay", _REVIEWERS, outlives=True)
    yield from row("relocations", "moves of sources are listed", _EXAMINERS)
    yield from row("check", "verify files, vectors and sources", _EXAMINERS, outlives=True)
    yield from row("statement", "state what a run did", _EXAMINERS, outlives=True)
    yield from row("report, export", "write what others read", _EXAMINERS, leaves=True)
    yield from row("pack_key", "make the key of the numbers by which packs name items", _EXAMINERS)
    yield from row("signed", "what was written is signed at the end of a command", _AUDITORS, outlives=True)
    yield from row("signer", "who is known to sign", _OWNER, outlives=True)
    yield from row("stamp", "a time-stamp of the log is kept with it", _EXAMINERS, outlives=True)
    yield from row("releases", "what left the case is listed", _EXAMINERS, outlives=True)
    yield from row("find faces_started, find faces, calibrate faces", "look through items for faces", _EXAMINERS)
    yield from row("name person, join people, split person, group faces", "say who is in the case", _EXAMINERS)

    yield from row("search, verify, link, groups", "look for what is alike", _REVIEWERS, looks=True)
    yield from row(
        "explain, overview", "what is alike, and why, on a picture or a page", _REVIEWERS, looks=True, leaves=True
    )
    yield from row("look up names", "what a search is limited to", _REVIEWERS, looks=True)
    yield from row("serve", "hold the case for people with tokens; each search asks for itself", _REVIEWERS)
    yield from row("picture", "a picture shown blurred by a service", _REVIEWERS)
    yield from row("show, issues, known list, known match, positions", "what the case holds is shown", _REVIEWERS)
    yield from row("decide, decisions", "say what one makes of a match", _REVIEWERS)
    yield from row("calibrate, model_added", "measure a background, by whatever model", _REVIEWERS)
    yield from row("review_start", "a sitting at the page", _REVIEWERS, looks=True)
    yield from row("review_session, review_refused, review_examiner", "who is at the page", _REVIEWERS)
    yield from row("review_query", "choose what to search with", _REVIEWERS)
    yield from row("search faces", "look for a person, where the gate is open", _REVIEWERS, looks=True)
    yield from row("link faces", "faces that a pack has too, where the gate is open", _REVIEWERS, looks=True)
    yield from row("show faces", "the faces of a picture, listed or drawn", _REVIEWERS, looks=True, leaves=True)
    yield from row("list people, show person, list face decisions, decide faces", "people, by faces", _REVIEWERS)


OPERATIONS: Mapping[str, Operation] = dict(_rows())
UNKNOWN = Operation("what no row names", _OWNER)
"""What is asked of an operation that has no row: the strictest."""


def operations(action: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    """What a use asks for: its own operation, and those that it needs besides, by how it was asked for."""
    yield action, OPERATIONS.get(action, UNKNOWN)
    if action != "reveal" and shows_clearly(arguments):
        yield "reveal", OPERATIONS["reveal"]
    if arguments.get("thumbnails") not in (None, False, "none"):
        yield "pictures", OPERATIONS["pictures"]
    if arguments.get("face_vectors"):
        yield "face vectors", OPERATIONS["face vectors"]
    if action == "decisions" and arguments.get("labels"):
        yield "export", OPERATIONS["export"]


def shows_clearly(arguments: Mapping[str, Any]) -> bool:
    """Was it asked for in a way that shows pictures as they are?"""
    return bool(
        arguments.get("reveal")
        or arguments.get("revealed")
        or arguments.get("thumbnails") in ("clear", "to be revealed")
    )
