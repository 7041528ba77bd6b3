"""Optional third-party modules: one clear error that names the extra to install."""

import importlib
import importlib.util
from types import ModuleType

from imgmatch.errors import MissingPackageError


def present(module: str, extra: str, needing: str = "this") -> None:
    """Raise as ``require`` does where ``module`` is not installed, without loading it."""
    try:
        missing = importlib.util.find_spec(module) is None
    except ImportError:  # the package that it lies in is missing
        missing = True
    if missing:
        require(module, extra, needing)


def require(module: str, extra: str, needing: str = "this") -> ModuleType:
    """Import ``module`` or raise a MissingPackageError that names the extra which brings it. ``needing``, what can't be
    done without, is what the message begins with: of evidence the format, whose issue it becomes.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{needing} needs the package {module!r}, which is not installed ({error}); "
            f"pip install 'imgmatch[{extra}]'",
            f"imgmatch[{extra}]",
        ) from error
