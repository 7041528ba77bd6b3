"""Keeping a case well: check, repair, compact, merge, statement."""
