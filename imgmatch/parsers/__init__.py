"""What runs in a process of its own: extractors and parsers of disk images.

Extractors take pictures out of videos, moving pictures and documents: ``extract(stream, settings, at)`` of a module.
Each is bytes in, pictures out, with no state, no storage and no files (``imgmatch.workers.process``). Parsers of disk
images (``tsk``, ``libyal``) stay open and are asked again and again (``imgmatch.workers.session``). What a hostile file
does to a decoder or parser is done there.
"""
