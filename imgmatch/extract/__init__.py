"""Pictures out of videos, moving pictures and documents: ``extract(stream, settings, at)`` of each module here.

Each is bytes in, pictures out, with no state, no storage and no files, and runs in a process of its own
(``imgmatch.extract.process``): what a hostile file does to a decoder is done there.
"""
