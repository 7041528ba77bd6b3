"""The audit log as sentences that a person reads: who did what to what, and what came of it."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

_SENTENCES = {
    "init": "made the case[, for: {purpose}][, examiner {examiner}]",
    "ingest_started": "began to ingest {paths} (run {run_id})",
    "ingest": "ended run {run_id} of an ingest: {files} files, {new_items} new items[, {new_issues} new issues]",
    "model_added": "added the model {model}",
    "merge_started": "began to add the case {other|path|case}",
    "merge": "added the case {other|path|case}: {items|new_items} items",
    "search": "searched with {query}[, {matches} matches]",
    "explain": "compared {query} closely with item {item_id|item}",
    "show": "looked at all that is known of item {item_id|item}",
    "issues": "listed the evidence that could not be used[, kind {kind}]",
    "issues_shown": "was shown {issues} issues",
    "groups": "looked for near-copies[, pairs of {least} or more]",
    "groups_shown": "was shown {groups} groups of near-copies",
    "overview": "looked for what is tied to what, in this case and {others}",
    "overview_written": "wrote an overview",
    "link": "looked for what {other|path|case} has in common with this case[: {links} links]",
    "decide": "decided on item {item} and {query}",
    "second_reader": "set whether two examiners must agree before a match is confirmed: {wanted}[, by name: {by_name}]",
    "decisions": "listed the decisions",
    "decisions_shown": "was shown {decisions|labels} decisions",
    "calibrate": "measured how often unrelated pictures score high",
    "positions": "looked at where pictures were taken[: {items} pictures at {places} places]",
    "open face gate": "let faces be looked for[, on the authority of {authority}][: {reason}]",
    "close face gate": "closed the gate for faces",
    "find faces_started": "began to look for faces",
    "find faces": "looked for faces[: {faces} found]",
    "show faces": "was shown faces[: {reason}]",
    "search faces": "looked for people by their faces[: {reason}]",
    "link faces": "looked for faces that {other|a pack} has too[: {reason}]",
    "group faces": "grouped faces into people",
    "list people": "listed people",
    "show person": "was shown a person[: {reason}]",
    "name person": "named a person",
    "join people": "joined people into one",
    "split person": "split a person",
    "decide faces": "decided on two faces",
    "list face decisions": "listed decisions on faces",
    "calibrate faces": "measured how often different faces score high",
    "relocate": "said where sources lie now[: {old} is {new}]",
    "relocations": "listed where sources have moved",
    "report": "began a report {folder|file|output}",
    "report_written": "wrote a report {folder|file|output}",
    "export": "began an export {format} {file|folder}[, encrypted to {to}]",
    "exported": "wrote an export {format} {file|folder}[, encrypted to {to}]",
    "terms": "changed what the case says of itself[, {reason}]",
    "extend": "let the case be used until {retain_until}[, {reason}]",
    "releases": "listed what has left the case",
    "refused": "was refused[: {why}]",
    "signed": "signed what was written",
    "signer": "changed who is known to sign",
    "stamp": "attached a time-stamp of the log, {file}",
    "followed": "found the case elsewhere than it lay[: {new}]",
    "pack_key": "made the key of the numbers by which packs without metadata name items",
    "import": "imported {file}",
    "imported": "imported {file}",
    "import hash list": "imported the hash list {name|list}",
    "match hash list": "compared the case with the hash list {list}",
    "matched hash list": "compared the case with the hash list {list}: {items} items",
    "remove hash list": "removed the hash list {list}",
    "known list": "listed the hash lists",
    "look up names": "looked up names that a search keeps to",
    "known match": "listed what is on hash lists",
    "known match shown": "was shown what is on hash lists",
    "check": "began to verify the case",
    "checked": "verified the case",
    "repair": "began to repair damaged vectors",
    "repaired": "repaired damaged vectors",
    "delete": "took evidence out of the case[, {reason}]",
    "delete_planned": "looked at what a deletion would take out[, {reason}]",
    "erase": "began to clear the disk of what was deleted",
    "erased": "cleared the disk of what was deleted",
    "encrypt": "encrypted the case",
    "decrypt": "made the case one that is not encrypted",
    "rotate": "sealed the case anew under new keys",
    "grant": "began to let {name} in[ as {role}]",
    "granted": "let {name} in[ as {role}]",
    "passphrase": "changed the passphrase by which they open the case",
    "revoke": "put {name} out",
    "list access": "listed who can open the case",
    "destroy": "destroyed the case, {reason}",
    "readmit": "let erased contents come in again[, {reason}]",
    "erasures": "listed what was erased",
    "certificate": "made a certificate of erasure",
    "compact": "began to remove deleted vectors from the disk",
    "compacted": "removed deleted vectors from the disk",
    "index": "changed which index is used",
    "index_move_started": "began to move the index",
    "index_move": "moved the index",
    "index_left": "left the former index",
    "statement": "made a statement of run {run_id}",
    "serve": "held the case for a service[ at {host}][, port {port}][, as {case}]",
    "serve_end": "ended the service ({why})[: {searches} searches]",
    "picture": "was shown a blurred picture of item {item_id}",
    "review_start": "opened the review page[, examiner {examiner}]",
    "review_end": "ended the review page ({why})",
    "review_session": "came to the review page in a browser",
    "review_refused": "was not let in to the review page: {why}",
    "review_query": "took {query} to search with",
    "review_examiner": "named {examiner} as the examiner",
    "verify": "had geometry look at {looked_at} matches, {verified} verified",
    "reveal": "was shown a clear picture of [item {item_id}][{query}]",
    "pack_started": "began to unpack a pack",
    "pack": "unpacked a pack",
    "link_shown": "was shown links with another case",
}
"""By action. {a|b}: the first that the entry has, wherever it stands; [..]: left out where it has not what is in it."""
_DECISIONS = {
    "confirmed": "confirmed item {item} as a match of {query}",
    "possible": "called item {item} a possible match of {query}",
    "rejected": "rejected item {item} as a match of {query}",
    "seen": "marked item {item} beside {query} as seen",
    "withdrawn": "took back what was said of item {item} and {query}",
}
_MOST = 200
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def sentence(entry: Mapping[str, Any]) -> str:
    """What an entry of the log says, in a sentence that begins with who it was; an action that no version knew is
    named as it stands there.
    """
    values = _values(entry)
    action = str(entry.get("action", ""))
    template = _SENTENCES.get(action)
    if action == "decide":
        template = _DECISIONS.get(str(values.get("verdict")), _SENTENCES[action]) + "[: {note}]"
    said = f"did “{action}”" if template is None else _filled(template, values)
    return f"{_who(entry, action, values)} {said}{_failed(values)}."


def _who(entry: Mapping[str, Any], action: str, values: Mapping[str, Any]) -> str:
    actor = str(entry.get("actor") or "somebody")
    if person := entry.get("person"):
        return f"{person} (by a service of {actor})"
    named = values.get("examiner")
    if not named or action in ("review_examiner", "init", "review_start"):
        return actor
    return f"{named} ({actor})"


def _failed(values: Mapping[str, Any]) -> str:
    error = values.get("error") or values.get("issue")
    return f"; it failed: {_told(error)}" if error else ""


def _values(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that an entry says, by its name: what stands beside the fields, arguments, subject, counts."""
    found: dict[str, Any] = {}
    for part in ("arguments", "subject", "counts"):
        inner = entry.get(part)
        if isinstance(inner, Mapping):
            found |= {str(name): value for name, value in inner.items() if value not in (None, "", [], {})}
    for name, value in entry.items():
        if name not in ("arguments", "subject", "counts") and value not in (None, "", [], {}):
            found.setdefault(name, value)
    return found


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """The template with its values; what is in brackets only where the entry has all of it."""
    while "[" in template:
        before, _, rest = template.partition("[")
        inner, _, after = rest.partition("]")
        names = [name for _, name, _, _ in string.Formatter().parse(inner) if name]
        shown = _put(inner, values) if all(_value(name, values) is not None for name in names) else ""
        template = before + shown.replace("{", "{{").replace("}", "}}").replace("[", "\0").replace("]", "\1") + after
    return _put(template, values).replace("\0", "[").replace("\1", "]")


def _put(template: str, values: Mapping[str, Any]) -> str:
    said = []
    for text, name, _, _ in string.Formatter().parse(template):
        said.append(text)
        if name:
            value = _value(name, values)
            said.append("" if value is None else _told(value))
    return "".join(said)


def _value(names: str, values: Mapping[str, Any]) -> Any:
    return next((values[name] for name in names.split("|") if name in values), None)


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_told(one) for one in value[:3])
        return shown + (f" and {len(value) - 3:,} more" if len(value) > 3 else "")
    text = str(value).removeprefix("file:").removeprefix("upload:")
    if _SHA256.fullmatch(text):
        return f"{text[:12]}…"
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
