"""The gate of a case: whether faces may be looked for in it, on whose authority and why.

It is closed in every case until its owner opens it. What it says stands with what is said of the case: in its status,
its reports and the statements of its runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from imgmatch.errors import CaseError
from indexer.catalogue.meta import MetaReads

KEYS = {
    name: f"faces_{name}" for name in ("authority", "reason", "enabled_utc", "enabled_by", "model", "weights_sha256")
}
"""The fields of a gate, by their names in what is said of a case."""


class Gate(NamedTuple):
    """An open gate: on what authority and why, when and by which account, for which model of faces."""

    authority: str
    reason: str
    enabled_utc: str
    enabled_by: str
    model: str
    weights_sha256: str

    def told(self) -> dict[str, str]:
        """As it is said of a case."""
        return {KEYS[name]: value for name, value in self._asdict().items()}


def gate_of(meta: Mapping[str, str]) -> Gate | None:
    """The gate, as what is said of a case has it; None where it is closed."""
    if any(name not in meta for name in KEYS.values()):
        return None
    return Gate(**{name: meta[key] for name, key in KEYS.items()})


def require_gate(path: Path, meta: MetaReads) -> Gate:
    """The open gate of a case in a folder. Raises CaseError where it is closed."""
    gate = gate_of(meta.all())
    if gate is None:
        raise CaseError(
            f"{path}: faces are not looked for in this case; its owner may allow it with: "
            f"imgmatch faces enable {path} --authority TEXT --reason TEXT"
        )
    return gate
