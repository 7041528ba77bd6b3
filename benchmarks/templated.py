"""How often pictures that share a template (a letterhead, an app's frame) are called verified, and copies not.

python -m benchmarks.templated [--contents N] [--templates A,B] [--synthetic] [--json FILE]

Forty-three templates, each around ten contents: photographs of rooms where they are there, drawn pictures otherwise,
or texts. ``KEPT`` and ``KEPT_SCREENS`` are those that no threshold of ``imgmatch.match`` was chosen by. Pairs of a
template that itself has photographs (``SHARING``) are told apart: by themselves they do show something that is the
same, and only the others of the template say that it is on every page. Of each
template all pairs of different contents are verified, of each picture a copy (JPEG, smaller, cropped a little), and of
each content that is a picture the same one inside another template.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from benchmarks import report
from benchmarks.templates import PICTURED, SHARING, TEMPLATES, picture
from imgmatch.match.features import Features, extract
from imgmatch.match.interval import clopper_pearson
from imgmatch.match.sharing import by_the_rest, look, shared
from imgmatch.match.verify import QueryFeatures, query_features

if TYPE_CHECKING:
    from imgmatch.types import Pixels

KEPT = ("letter_large", "chat_night", "codes_four", "map_most", "form_long")
KEPT_SCREENS = ("avatars_night", "booking", "barcode")


def copy(pixels: Pixels, seed: int = 0) -> Pixels:
    """A copy as it is passed on: cropped by up to 4 % a side, at .7 of its size, as JPEG of quality 60."""
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    left, top, right, bottom = rng.uniform(0, 0.04, 4) * (width, height, width, height)
    made = Image.fromarray(pixels).crop((round(left), round(top), round(width - right), round(height - bottom)))
    made = made.resize((round(made.width * 0.7), round(made.height * 0.7)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    made.save(buffer, "JPEG", quality=60)
    return np.asarray(Image.open(buffer))


def _sought(pixels: Pixels) -> QueryFeatures:
    return query_features(pixels, (pixels.shape[1], pixels.shape[0]))


def _stored(pixels: Pixels) -> Features:
    return extract(pixels, (pixels.shape[1], pixels.shape[0]))


def measure(template: str, contents: Sequence[int], synthetic: bool) -> dict[str, Any]:
    """Wrongly verified pairs of different contents, and copies verified: of whole pictures and, where the content is a
    picture, of it inside another template.
    """
    pictures = [picture(template, content, synthetic) for content in contents]
    items, copied = [_stored(p) for p in pictures], [copy(p, n) for n, p in enumerate(pictures)]
    altered = [_stored(p) for p in copied]
    wrong: list[list[Any]] = []
    pairs = copies = inside = crossed = alone = 0
    for one, content in enumerate(contents):
        query = _sought(pictures[one])
        # Every other pair against a copy: cropping moves what the frames share from its place.
        others = [items[two] if one < two else altered[two] for two in range(len(contents))]
        if template in PICTURED:
            elsewhere = PICTURED[(PICTURED.index(template) + 1) % len(PICTURED)]
            others.append(_stored(picture(elsewhere, content, synthetic)))
        looks = [look(query, item) for item in others]
        part = shared(query, looks) if any(seen.in_question for seen in looks) else None
        told = [
            by_the_rest(query, part, item, seen.found) if part is not None and seen.in_question else seen.found
            for item, seen in zip(others, looks, strict=True)
        ]
        copies += told[one].verified
        for two, other in enumerate(contents):
            if one != two:
                pairs += 1
                alone += looks[two].found.verified
                if told[two].verified:
                    wrong.append([content, other, told[two].kind, told[two].inliers])
        for found in told[len(contents) :]:
            crossed += 1
            inside += found.verified
    done = {
        "pairs": pairs,
        "wrong": len(wrong),
        "wrong_alone": alone,
        "copies": len(contents),
        "copies_verified": copies,
        "which": wrong,
    }
    return done | ({"other_template": crossed, "other_template_verified": inside} if crossed else {})


def main() -> None:
    """Measure and report."""
    parser = report.parser("Pictures that share a template")
    parser.add_argument("--contents", type=int, default=10, help="contents a template")
    parser.add_argument("--synthetic", action="store_true", help="drawn pictures, even where there are photographs")
    parser.add_argument("--templates", default=",".join(TEMPLATES), help="which templates")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    figures: dict[str, Any] = {
        "templates": {},
        "kept_from_tuning": KEPT + KEPT_SCREENS,
        "sharing": SHARING,
        "synthetic": arguments.synthetic,
    }
    rows = []
    for template in arguments.templates.split(","):
        done = measure(template, range(arguments.contents), arguments.synthetic)
        figures["templates"][template] = done
        rows.append(
            [
                f"{template}{' (kept)' if template in KEPT + KEPT_SCREENS else ''}",
                f"{done['wrong']} of {done['pairs']}",
                f"{done['copies_verified']} of {done['copies']}",
                f"{done['other_template_verified']} of {done['other_template']}" if "other_template" in done else "",
            ]
        )
        print(rows[-1], flush=True)
    report.table("Templates", ["template", "wrongly verified", "copies verified", "in another template"], rows)
    for which in ("pairs", "wrong", "copies", "copies_verified", "other_template", "other_template_verified"):
        figures[which] = sum(done.get(which, 0) for name, done in figures["templates"].items() if name not in SHARING)
    wrong, pairs = np.array([float(figures["wrong"])]), np.array([float(figures["pairs"])])
    figures["upper_95"] = float(clopper_pearson(wrong, pairs)[1][0])
    report.finish("templated", figures, arguments.json)


if __name__ == "__main__":
    main()
