"""Searching a case for a person by faces, through the gate of the case: each use has a reason, and stands in the
log.
"""
