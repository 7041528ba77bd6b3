"""Build the guide: ``python tools/guide/build.py OUT``.

Makes the exercise case, photographs its pages and keeps what the commands say, and puts both into the chapters of
docs/guide. Needs ``imgmatch[guide]`` and Chromium. What comes out is a folder that any browser opens, offline.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
_ASKS = re.compile(
    r"""<(?:script|img|iframe|source|audio|video|embed|object)\b[^>]*?\s(?:src|srcset|data)\s*=\s*["']?\s*(?:https?:)?//[^"'>\s]*"""
    r"""|<link\b(?![^>]*rel=["']?(?:canonical|next|prev)\b)[^>]*?\shref\s*=\s*["']?\s*(?:https?:)?//[^"'>\s]*"""
    r"""|(?:url\(|@import)\s*["']?\s*(?:https?:)?//[^"')\s]*""",
    re.IGNORECASE,
)


def outside(folder: Path) -> list[str]:
    """What pages and styles in a folder would ask others for: file, and what asks."""
    pages = (file for file in sorted(folder.rglob("*")) if file.suffix in (".html", ".css", ".svg"))
    return [
        f"{file.relative_to(folder)}: {found.group()}"
        for file in pages
        for found in _ASKS.finditer(file.read_text(encoding="utf-8"))
    ]


def build(out: Path, chapters: Path, output: Path) -> None:
    """Build the pages of ``chapters`` (with their pictures), with what commands said in ``output``."""
    from mkdocs.commands.build import build as made
    from mkdocs.config import load_config

    os.environ["IMGMATCH_GUIDE_OUTPUT"] = str(output)
    made(
        load_config(str(Path(__file__).with_name("mkdocs.yml")), docs_dir=str(chapters), site_dir=str(out), strict=True)
    )
    (out / "sitemap.xml").unlink(missing_ok=True)
    (out / "sitemap.xml.gz").unlink(missing_ok=True)
    if asking := outside(out):
        raise SystemExit("the guide would ask others: " + "; ".join(asking[:5]))


def main() -> None:
    """Make a guide."""
    from tools.guide.screens import make

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a new folder")
    asked = parser.parse_args()
    if asked.out.exists():
        raise SystemExit(f"{asked.out}: exists already; name a new folder")
    with tempfile.TemporaryDirectory(prefix="guide-") as scratch:
        chapters, output = Path(scratch, "chapters"), Path(scratch, "output")
        shutil.copytree(ROOT / "docs" / "guide", chapters)
        make(Path(scratch), chapters / "images", output)
        build(asked.out.absolute(), chapters, output)
    size = sum(file.stat().st_size for file in asked.out.rglob("*") if file.is_file())
    sys.stdout.write(f"{asked.out / 'index.html'}: {size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
