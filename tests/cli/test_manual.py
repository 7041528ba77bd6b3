"""Manual pages say what the commands say, all of it, and are there where the package is."""

import ast
import os
import shutil
import subprocess
import sys

import pytest
import typer.main

from cli.app import COMMANDS, app
from cli.manual import pages, write
from cli.options.lazy import Family, at
from tests.conftest import ROOT, run
from tests.test_recorded import commands


def test_every_command_has_a_page_with_all_its_options_and_arguments():
    made = pages()
    for name, command in commands():
        page = made[f"imgmatch-{name.replace(' ', '-')}.1"]
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if option.startswith("-"):
                    assert option.replace("-", "\\-") in page, (name, option)
        assert f"imgmatch {name}".replace("-", "\\-") in page
    root = typer.main.get_command(app)
    assert all(f"imgmatch {word}".replace("-", "\\-") in made["imgmatch.1"] for word in root.commands)


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_they_are_what_a_reader_of_them_takes(tmp_path):
    paths = write(tmp_path)
    done = subprocess.run(["groff", "-man", "-Tascii", "-ww", *paths], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"IMGMATCH-INGEST(1)" in done.stdout


def test_making_them_needs_nothing_but_typer():
    """A wheel is built where nothing else is installed."""
    script = (
        "import sys, cli.manual\n"
        "files = {n.partition('.')[0]: getattr(m, '__file__', '') or '' for n, m in sys.modules.items()}\n"
        "print(*sorted(name for name, file in files.items() if 'site-packages' in file))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    of_typer = {"typer", "annotated_doc", "click", "rich", "shellingham", "typing_extensions", "pygments", "colorama"}
    assert set(done.stdout.split()) <= of_typer | {"_distutils_hack", "_virtualenv", "markdown_it", "mdurl"}


def test_commands_of_an_index_stand_in_either_order(tmp_path):
    assert run("init", tmp_path / "case").returncode == 0
    assert b"Build the index" in run("index", "build", "--help").stdout
    assert b"--recall" in run("index", tmp_path / "case", "build", "--help").stdout
    one, other = run("index", "info", tmp_path / "case"), run("index", tmp_path / "case", "info")
    assert one.returncode == 0
    assert one.stdout == other.stdout
    (tmp_path / "build").mkdir()
    odd = run("index", "build", "build", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert b"not a case" in odd.stderr


def test_quiet_leaves_results_and_errors(tmp_path):
    assert run("init", tmp_path / "case", "-q").stderr == b""
    assert run("-q", "init", tmp_path / "another").stderr == b""
    assert b"items" in run("status", tmp_path / "case", "--quiet").stdout
    assert b"no such folder" in run("status", tmp_path / "none", "-q").stderr


def test_the_table_of_commands_says_what_each_says_of_itself():
    def rows(table):
        for row in table.values():
            yield from rows(row.rows) if isinstance(row, Family) else [row]

    for row in rows(COMMANDS):
        assert " ".join(at(row.at).__doc__.split()).startswith(row.help), row


def test_a_start_loads_the_command_that_it_runs_and_no_other():
    probe = "import sys; sys.argv = ['imgmatch', 'status', '--help']\nfrom cli.main import main\n"
    probe += "try: main()\nexcept SystemExit: pass\n"
    probe += "print([name for name in sys.modules if name.startswith('cli.commands.')])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert set(ast.literal_eval(done.stdout.splitlines()[-1])) <= {"cli.commands.case", "cli.commands.index"}
