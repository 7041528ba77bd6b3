"""Containers: archives, disk images, videos, documents; one module a kind."""
