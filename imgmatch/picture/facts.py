"""What is kept of a picture beside its vectors: its file's metadata, and its perceptual hash."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from imgmatch.picture.metadata import FIELDS, Metadata
from imgmatch.picture.pdq import BITS, Pdq

_MOST_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Facts:
    """Metadata of a file, and the PDQ of its picture (None where none was asked for)."""

    metadata: Metadata
    pdq: Pdq | None

    def record(self) -> dict[str, Any]:
        """As JSON can hold it."""
        pdq = None if self.pdq is None else {"hash": self.pdq.hash.hex(), "quality": self.pdq.quality}
        return {"metadata": self.metadata, "pdq": pdq}

    @classmethod
    def of(cls, record: Any) -> Facts:
        """From what ``record`` gave. Raises ValueError on anything else: who gave it may not be trusted."""
        try:
            metadata, told = record["metadata"], record["pdq"]
            fields = all(name in FIELDS and isinstance(entry, dict) for name, entry in metadata.items())
            if not fields or len(json.dumps(metadata)) > _MOST_CHARACTERS:
                raise ValueError("no metadata")
            pdq = None if told is None else Pdq(bytes.fromhex(told["hash"]), told["quality"])
            if pdq is not None and (len(pdq.hash) * 8 != BITS or pdq.quality not in range(101)):
                raise ValueError("no PDQ hash")
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("no facts") from error
        return cls(metadata, pdq)
