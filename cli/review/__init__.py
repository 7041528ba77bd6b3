"""``imgmatch review``: the page on this machine alone on which matches are looked through and decided."""

from cli.review.command import review

__all__ = ["review"]
