"""A case on disk: its folder, its segments of vectors, its log."""
