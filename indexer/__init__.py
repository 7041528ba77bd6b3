"""A case on disk, and search over it."""
