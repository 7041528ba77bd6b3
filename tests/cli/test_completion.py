"""Completion by Tab: what a package brings for each shell does what the shell asks of it."""

import os
import shutil
import subprocess
import sys

import pytest

from cli.completion import PLACES, write
from tests.conftest import ROOT

ASKS = {
    "bash": "source {file}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
    '_imgmatch_completion imgmatch; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": "source {file}; complete --do-complete '{words}'",
    # What a person types needs a terminal: here it is what the function hands to zsh.
    "zsh": "compdef() {{ }}; _describe() {{ print -rl -- ${{(P)4}} }}; _arguments() {{ print -rl -- $@ }}; "
    "source {file}; words=({words}); CURRENT=$#words; _imgmatch_completion",
}


@pytest.fixture
def offered(tmp_path):
    """What a shell offers after words of a command."""
    write(tmp_path / "prefix")
    program = tmp_path / "bin" / "imgmatch"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m cli.main "$@"\n')
    program.chmod(0o700)

    def offers(shell, words):
        if not shutil.which(shell):
            pytest.skip(f"{shell} is not installed")
        script = ASKS[shell].format(file=tmp_path / "prefix" / PLACES[shell], words=words)
        environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        done = subprocess.run([shell, "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.stdout

    return offers


@pytest.mark.skipif(os.name == "nt", reason="shells of Unix")
@pytest.mark.parametrize("shell", PLACES)
def test_commands_and_options_are_offered(offered, shell):
    said = offered(shell, "imgmatch exp")
    assert "explain" in said
    assert "export" in said
    assert "ingest" not in said
    assert "--verify" in offered(shell, "imgmatch groups --ver")


def test_files_lie_where_shells_look_by_themselves(tmp_path):
    write(tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {
        "share/bash-completion/completions/imgmatch",
        "share/zsh/site-functions/_imgmatch",
        "share/fish/vendor_completions.d/imgmatch.fish",
    }
    assert (tmp_path / PLACES["zsh"]).read_text().startswith("#compdef imgmatch\n")  # or zsh passes it over
