"""Entry point of the command line."""

from __future__ import annotations

import os
import sys
import warnings

from cli.app import app
from cli.render.notes import EXIT_ERROR, EXIT_INTERRUPTED, note
from cli.render.progress import end_on_sigterm
from cli.render.terminal import guard
from imgmatch.errors import ImgmatchError, raise_if_machine


def main() -> None:
    """Entry point: one line for an error, no traceback; exit codes as docs/formats.md lists them."""
    guard()
    end_on_sigterm()
    warnings.simplefilter("ignore")  # decoders' warnings about broken files are recorded as issues, not printed
    if os.environ.get("IMGMATCH_DEBUG"):
        import logging  # takes a start longer than all the rest of this

        logging.basicConfig()
        logging.getLogger("imgmatch").setLevel(logging.DEBUG)
    try:
        app(prog_name="imgmatch")
    except ImgmatchError as error:
        note(f"imgmatch: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        note("imgmatch: broken off; what was committed is kept")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (head, less): nothing to say, and nothing to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if os.environ.get("IMGMATCH_DEBUG"):
            raise
        note(f"imgmatch: {_unforeseen(error)}")
        sys.exit(EXIT_ERROR)


def _unforeseen(error: Exception) -> str:
    """A line for what nobody caught: of the machine, such as output that has no room, or a fault of imgmatch."""
    try:
        raise_if_machine(error)
    except ImgmatchError as fault:
        return str(fault)
    return f"internal error ({type(error).__name__}: {error}); please report it; IMGMATCH_DEBUG=1 shows where"


if __name__ == "__main__":
    main()
