"""What an examiner does at a desk with one open case: query pictures, searches, comparisons, decisions, groups.

No page and no network here: whoever shows it asks the ``Desk``.
"""

from indexer.review.desk import Desk, Shown
from indexer.review.kept import KeptSearch
from indexer.review.queries import QueryPicture
from indexer.review.stacks import Stacks

__all__ = ["Desk", "KeptSearch", "QueryPicture", "Shown", "Stacks"]
