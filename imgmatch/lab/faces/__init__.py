"""Labelled faces on disk, as benchmarks and laboratories keep them, and what a model of faces does on them."""
