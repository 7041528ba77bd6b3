"""The rules of the house: who imports whom, how large anything may be, and what a command may load."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.conftest import ROOT, run

PACKAGES = ("imgmatch", "indexer", "cli")
LIMITS = {"lines of a module": 400, "lines of a function": 80, "parameters": 8}
ROOMS = {"imgmatch": 9, "indexer": 8}
HEAVY = ("torch", "torchvision", "faiss", "cv2", "onnxruntime", "timm")


def modules_after(statement: str, *arguments) -> set[str]:
    """Modules and packages loaded once a statement has run in a fresh interpreter."""
    script = (
        "import sys, contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    {statement}\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


CLI = "from cli.main import main; main()"


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    from tests.conftest import encode, picture

    folder = tmp_path_factory.mktemp("architecture")
    (folder / "q.jpg").write_bytes(encode(picture(1), "JPEG"))
    assert run("init", folder / "case").returncode == 0
    assert run("ingest", folder / "case", folder / "q.jpg").returncode == 0
    return folder / "case"


def test_import_contract_holds():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def sizes(module):
    """(what, which, how much) of a module and its functions. A command has a parameter for each of its options."""
    text = module.read_text()
    yield "lines of a module", module.name, len(text.splitlines())
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "lines of a function", f"{module.name} {node.name}", node.end_lineno - node.lineno + 1
            given = node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
            if module.parent.name != "commands":
                yield "parameters", f"{module.name} {node.name}", sum(x.arg not in ("self", "cls") for x in every)


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_functions_and_signatures_can_be_taken_in(package):
    measured = [size for module in sorted((ROOT / package).rglob("*.py")) for size in sizes(module)]
    assert len(measured) > 50
    large = {(what, which, much) for what, which, much in measured if much > LIMITS[what]}
    assert not large


@pytest.mark.parametrize("package", ROOMS)
def test_a_package_has_no_more_rooms_than_one_remembers(package):
    rooms = [path.parent.name for path in (ROOT / package).glob("*/__init__.py")]
    assert 0 < len(rooms) <= ROOMS[package], rooms


def circle(imports):
    """Names each of which imports the next, the last one being the first; None where there is no such circle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return None


def test_neither_modules_nor_rooms_import_in_a_circle():
    """Imports inside functions, and for types only, count: what needs each other is one thing, or has a third below."""
    graph = grimp.build_graph(*PACKAGES, "benchmarks", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 200
    assert circle(imports) is None
    for room in graph.modules:
        part = {
            module: child for child in graph.find_children(room) for module in {child, *graph.find_descendants(child)}
        }
        between = {child: set() for child in part.values()}
        for module, child in part.items():
            between[child] |= {part[other] for other in imports[module] if other in part} - {child}
        assert circle(between) is None, room


def test_what_names_evidence_is_had_through_a_recorded_use_alone():
    """The rooms of a case and its index alone reach a catalogue as it is, or make what gives it; all others are given a
    ``Use``.
    """
    inner = [ROOT / "indexer" / room for room in ("catalogue", "index", "case")]
    makers = {"Catalogue", "Shelf", "AuditLog", "Use", "Change", "Run"}
    around = []
    for module in (path for package in ("indexer", "cli") for path in (ROOT / package).rglob("*.py")):
        if any(room in module.parents for room in inner):
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            private = (
                isinstance(node, ast.Attribute) and node.attr == "_catalogue" and ast.unparse(node.value) != "self"
            )
            made = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in makers
            if private or made:
                around.append(f"{module.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not around
    shelf = (ROOT / "indexer" / "index" / "shelf.py").read_text()
    assert "self._catalogue = catalogue" in shelf


@pytest.mark.parametrize("command", [["--help"], ["search", "--help"], ["models", "list"]])
def test_help_and_lists_load_nothing_heavy(command):
    assert not modules_after(CLI, *command) & set(HEAVY)


def test_status_loads_nothing_heavy(case):
    assert not modules_after(CLI, "status", case) & set(HEAVY)


def test_search_on_the_default_model_never_loads_torch(case):
    loaded = modules_after(CLI, "search", case, case.parent / "q.jpg")
    assert {"faiss", "onnxruntime"} <= loaded
    assert not loaded & {"torch", "torchvision", "timm"}


@pytest.mark.parametrize("package", ["imgmatch", "imgmatch.models", "imgmatch.types", "indexer", "cli.main"])
def test_importing_a_package_loads_nothing_heavy(package):
    loaded = modules_after(f"import {package}")
    assert not loaded & set(HEAVY)


@pytest.mark.claim("O1")
@pytest.mark.parametrize("command", ["ingest", "search"])
def test_no_socket_is_ever_opened_but_pairs_of_its_own_processes(case, command):
    script = (
        "import sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'socket.__new__' and arguments[1] == 1: return\n"  # AF_UNIX: pairs, as nothing is bound
        "    if event == 'socket.sendmsg' and arguments[1] is None: return\n"  # on one of these
        "    if event.startswith('socket.'): print(event, arguments, file=sys.stderr); import os; os._exit(9)\n"
        "sys.addaudithook(hook)\n" + CLI
    )
    arguments = [sys.executable, "-c", script, command, case, case.parent / "q.jpg"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_loads_no_command():
    """So it is there at once, which seconds would tell on a quiet machine alone."""
    loaded = modules_after(CLI, "--help")
    assert "cli.app" in loaded
    assert not {name for name in loaded if name.startswith("cli.commands.")}
