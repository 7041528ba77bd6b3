"""Untrusted bytes are read in confined processes: docs/isolation.md.

``process`` starts, limits and ends them, ``pool`` keeps them for what comes next, ``kinds`` says which there are,
``wire`` is how both sides talk. ``decode`` asks for pictures, ``parse`` for what is in videos, documents and disk
images. ``child`` and ``serving`` run inside.

This module imports nothing: workers are started often, and import only what they need.
"""
