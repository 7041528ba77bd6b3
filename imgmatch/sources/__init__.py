"""Where evidence comes from: ``walk(path)`` finds it, ``reopen(locator)`` opens it again. Nothing here ever writes."""

from imgmatch.sources.files import reopen, walk

__all__ = ["reopen", "walk"]
