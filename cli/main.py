"""Entry point of the command line."""

from __future__ import annotations

import os
import sys
import warnings

from cli.app import app
from cli.render.notes import EXIT_ERROR, EXIT_INTERRUPTED, note
from cli.render.progress import end_on_sigterm
from cli.render.terminal import guard
from imgmatch.errors import ImgmatchError


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
        kind = type(error).__name__
        note(f"imgmatch: internal error ({kind}: {error}); please report it; IMGMATCH_DEBUG=1 shows where")
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
