"""What runs in confined workers only: extractors and parsers of disk images.

Extractors take pictures out of videos, moving pictures and documents: ``extract(stream, settings, at)`` of a module.
Each is bytes in, pictures out, with no state, no storage and no files (``imgmatch.workers.parse``). Parsers of disk
images (``tsk``, ``disks``) stay open and are asked again and again (``imgmatch.workers.session``); what their methods
are annotated to return is what their answers are held to. A worker can import nothing: what a parser needs is named in
``imgmatch.workers.kinds``.
"""
