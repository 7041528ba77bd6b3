"""Completion of commands and options by Tab, for bash, zsh and fish: files that a package brings, and that name this
program; what they offer the program says itself, each time.

    python -m cli.completion FOLDER

writes them as share/... has them (hatch_build.py), where shells look by themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path

from typer.completion import get_completion_script

PLACES = {
    "bash": "share/bash-completion/completions/imgmatch",
    "zsh": "share/zsh/site-functions/_imgmatch",
    "fish": "share/fish/vendor_completions.d/imgmatch.fish",
}
"""Where each shell looks for it below the folder in which programs are installed."""
# zsh reads the file when it is first asked: then what it defines has to answer at once.
_ZSH_AT_ONCE = '\n[[ $zsh_eval_context[-1] == loadautofunc ]] && _imgmatch_completion "$@"'


def scripts() -> dict[str, str]:
    """What each shell reads, by its name."""
    found = {
        shell: get_completion_script(prog_name="imgmatch", complete_var="_IMGMATCH_COMPLETE", shell=shell)
        for shell in PLACES
    }
    found["zsh"] += _ZSH_AT_ONCE
    return {shell: script + "\n" for shell, script in found.items()}


def write(folder: Path) -> list[Path]:
    """Write them below a folder; returns their paths."""
    written = []
    for shell, script in scripts().items():
        path = folder / PLACES[shell]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
