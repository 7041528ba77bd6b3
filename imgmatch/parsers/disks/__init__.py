"""Readers of disk images in a container format, in Python: each proves what it returns, as far as its format tells.

A reader is made of the bytes of the image's files, in order, and asked again and again (``imgmatch.workers.session``).
What it can't prove it does not give: it names the place instead.
"""
