"""Nearest vectors. An index is a cache over the segments: it can be deleted at any time and is rebuilt.

``protocol`` is what every index promises; ``exact`` compares every row; ``kinds`` holds those that FAISS builds;
``policy`` chooses; ``manifest`` guards the files; ``store`` reads rows back from the segments; ``layered`` puts base
and tail together; ``open`` does so for a case; ``build`` makes generations; ``pairs`` finds all near pairs. faiss is
imported only here.
"""

from indexer.index.exact import ExactIndex
from indexer.index.protocol import Ids, Similarities, VectorIndex

__all__ = ["ExactIndex", "Ids", "Similarities", "VectorIndex"]
