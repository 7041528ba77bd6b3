"""Saying and changing the terms of a case, and letting one that has expired be used again."""

from __future__ import annotations

from collections.abc import Mapping

from imgmatch.errors import CaseError, UsageError
from indexer.case.case import Case
from indexer.case.terms import KEYS, Terms, checked, require_future
from indexer.case.use import Change


def terms_of(case: Case) -> dict[str, str]:
    """The terms of a case, by their names, "" where nothing is said; ``over`` says why it may not be used now."""
    meta = case.catalogue.meta.all()
    return {**{key: meta.get(key, "") for key in KEYS}, "over": Terms.of(meta).over()}


def set_terms(case: Case, told: Mapping[str, str], reason: str) -> dict[str, str]:
    """Change some terms, "" to take one back; returns all. Recorded with the reason and with what they were before.

    Only the owner may, and a retention date is not set to a later day here: ``extend`` is for that. Raises UsageError
    where nothing changes, a term is none, or no reason is given; CaseError where who asks does not own the case.
    """
    case.require_owner("change its terms")
    now = terms_of(case)
    new = {key: value for key, value in checked({**_kept(now), **told}).items() if value != now.get(key, "")}
    if not new:
        raise UsageError(f"{case.path}: has these terms already, or none was given; nothing to change")
    if "two-persons" in now["demands"] and "two-persons" not in new.get("demands", "two-persons"):
        if case.second is None:
            raise CaseError(f"{case.path}: two persons take that back; give --second NAME beside your own")
    elif "two-persons" in new.get("demands", "") and case.place.ring is None:
        raise UsageError(f"{case.path}: a plain case has no people; first: imgmatch encrypt {case.path}")
    if "retain_until" in new and now["retain_until"] and (not new["retain_until"] or _later(new, now)):
        raise UsageError(
            f"{case.path}: kept until {now['retain_until']}: extend it with: "
            f"imgmatch terms extend {case.path} --until DATE --reason TEXT"
        )
    if not now["retain_until"]:
        require_future(new.get("retain_until", ""))
    with case.change("terms", arguments=_told(new, reason)) as change:
        _write(change, new)
    return terms_of(case)


def extend(case: Case, until: str, reason: str) -> dict[str, str]:
    """Let a case be used up to the end of a later day; returns its terms. Recorded with the reason.

    Only the owner may. Raises UsageError where it is no later day, or no reason is given.
    """
    case.require_owner("extend it")
    now = terms_of(case)
    if not now["retain_until"]:
        raise UsageError(f"{case.path}: is kept without an end; nothing to extend")
    new = {"retain_until": checked({**_kept(now), "retain_until": until})["retain_until"]}
    require_future(new["retain_until"])
    if not _later(new, now):
        raise UsageError(f"{until}: the case is kept until {now['retain_until']} already; give a later day")
    with case.change("extend", arguments=_told(new, reason)) as change:
        _write(change, new)
    return terms_of(case)


def _told(new: Mapping[str, str], reason: str) -> dict[str, str]:
    if not (reason := " ".join(reason.split())):
        raise UsageError("--reason is empty; say why: it is kept in the audit log")
    return {"reason": reason, **new}


def _write(change: Change, new: Mapping[str, str]) -> None:
    before = change.catalogue.meta.all()
    change.entry.subject = {"before": {key: before.get(key, "") for key in new}}
    change.writer.meta.set({key: value for key, value in new.items() if value})
    change.writer.meta.remove([key for key, value in new.items() if not value])


def _kept(now: Mapping[str, str]) -> dict[str, str]:
    return {key: now[key] for key in KEYS}


def _later(new: Mapping[str, str], now: Mapping[str, str]) -> bool:
    return Terms(retain_until=new["retain_until"]).ends > Terms(retain_until=now["retain_until"]).ends
