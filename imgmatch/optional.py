"""Optional third-party modules: one clear error that names the extra to install."""

import importlib
import importlib.util
from types import ModuleType

from imgmatch.errors import MissingPackageError


def present(module: str, extra: str) -> None:
    """Raise as ``require`` does where ``module`` is not installed, without loading it."""
    try:
        missing = importlib.util.find_spec(module) is None
    except ImportError:  # the package that it lies in is missing
        missing = True
    if missing:
        require(module, extra)


def require(module: str, extra: str) -> ModuleType:
    """Import ``module`` or raise a MissingPackageError that names the extra which brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"this needs the package {module!r}, which is not installed ({error}); pip install 'imgmatch[{extra}]'",
            f"imgmatch[{extra}]",
        ) from error
