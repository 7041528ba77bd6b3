"""The page on this machine alone on which matches are looked through and decided."""
