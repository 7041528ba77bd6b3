"""Nearest vectors of a case, and the segments that hold them. An index is a cache over the segments: it can be deleted
at any time and is rebuilt.

``segments`` are the files of vectors; ``shelf`` is what one model made, the one writer of segments; ``store`` reads
rows back. ``protocol`` is what every index promises; ``exact`` compares every row; ``kinds`` holds those that FAISS
builds; ``policy`` chooses; ``build`` makes a generation, ``tune`` measures it, ``manifest`` guards its files;
``layered`` puts base and tail together; ``open`` does so for a case; ``status`` describes; ``remote`` keeps a
``milvus`` collection; ``pairs`` finds all near pairs. faiss is imported only here, and not by importing this package.
"""
