"""Decoding of untrusted bytes in confined worker processes: docs/isolation.md.

This module imports nothing: workers are started often, and import only what decoding needs.
"""
