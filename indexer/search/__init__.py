"""Questions put to a case, and their answers."""
