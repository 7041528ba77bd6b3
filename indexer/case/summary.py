"""An encrypted case in numbers, sealed by the key of its log: for who may read that and nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgmatch.given import loads
from imgmatch.vault import keys
from imgmatch.vault.keys import Seal
from indexer.case.place import Place
from indexer.index.disk import whole

NAME = "summary"
_STEP_BYTES = 4096
_MOST_BYTES = 1 << 20


def write_summary(room: Path, seal: Seal, told: Mapping[str, Any]) -> None:
    """Keep numbers of a case, in the place of those before; nothing is done where they are the same."""
    if summary_in(room, seal) == told:
        return
    data = json.dumps(told, sort_keys=True).encode("ascii")
    data = data.ljust(-(-len(data) // _STEP_BYTES) * _STEP_BYTES)  # their size tells nothing
    draft = room / f"{NAME}.new"
    with whole(draft, None, NAME) as file:
        file.write(keys.seal(seal.key, data, f"{seal.case_id} {NAME}"))
    draft.replace(room / NAME)


def summary_in(room: Path, seal: Seal) -> dict[str, Any]:
    """What was kept; nothing where there is none, or it was altered."""
    with contextlib.suppress(OSError, ValueError):
        with (room / NAME).open("rb") as file:
            plain = keys.unsealed(seal.key, file.read(_MOST_BYTES), f"{seal.case_id} {NAME}")
        told = None if plain is None else loads(plain)
        if isinstance(told, dict):
            return told
    return {}


def summary_fault(place: Place) -> str:
    """What is wrong with what was kept of a case; empty where nothing is, or nothing was kept, as of a plain one."""
    if place.keys is None:
        return ""
    path, seal = place.room / NAME, place.keys.of("log")
    try:
        with path.open("rb") as file:
            plain = keys.unsealed(seal.key, file.read(_MOST_BYTES), f"{seal.case_id} {NAME}")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path}: can't be read ({error.strerror}); check disk and rights"
    return "" if plain is not None else f"{path}: damaged, or of another case"
