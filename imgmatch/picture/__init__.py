"""One picture: bytes to upright pixels, its digests, and the facts that its bytes tell."""
