"""Types of what parsers tell, checked where it is heard (imgmatch.workers.wire): a file may speak for its parser."""

from __future__ import annotations

import re
from typing import Annotated

Size = Annotated[int, range(1 << 63)]
"""Of bytes, or a place among them."""
Number = Annotated[int, range(1 << 64)]
"""Of an inode or a block."""
Time = Annotated[str, re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)]
"""As ``imgmatch.times`` states it."""
Word = Annotated[str, re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,31}")]
"""A short name of something that is known, such as a format."""
Name = Annotated[str, range(1 << 18)]
"""A name or a sentence out of evidence, of so many characters, whichever they are."""
