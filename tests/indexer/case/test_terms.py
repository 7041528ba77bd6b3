"""The terms of a case: expired it is not used, in whatever way; a reason, a recipient and a purpose where they are
demanded; what leaves is listed by its bytes. At the one place where a case is used, for every operation there is.
"""

import hashlib
import json
import re
from datetime import date, timedelta

import pytest
from typer.testing import CliRunner

from cli.app import app
from imgmatch.errors import CaseError, UsageError
from indexer.care.terms import extend, set_terms, terms_of
from indexer.case.case import Case
from indexer.case.operations import OPERATIONS
from indexer.case.terms import Asked, Terms, checked
from indexer.out.released import releases
from tests.conftest import ROOT, encode, picture, run, run_json, textured
from tests.indexer.vectors import SPEC

PAST, FUTURE = "2020-01-31", "2999-01-01"
OUTLIVES = {
    "status", "audit", "init", "terms", "extend", "close face gate", "delete", "erase", "delete_planned", "erasures",
    "certificate", "followed", "passphrase", "check", "statement", "releases", "signed", "signer", "stamp",
    "encrypt", "rotate", "revoke", "decrypt", "grant", "list access", "destroy",
}  # fmt: skip
"""What may still be done with a case that has expired: nothing here searches, brings in or hands out evidence."""
LOOKS = {
    "search", "verify", "explain", "link", "groups", "overview", "look up names", "show faces", "search faces",
    "link faces", "review_start",
}  # fmt: skip


def made(path, **about):
    """A case whose terms are as somebody who may write to it has set them."""
    with Case.create(path / "case", model=SPEC) as case, case.change("test") as change:
        change.writer.meta.set(about)
    return Case.open(path / "case")


def last(case):
    (entry,) = case.log.entries(last=1)
    return entry


# --- expired


def test_what_an_expired_case_still_allows_is_this_and_no_more():
    assert {name for name, operation in OPERATIONS.items() if operation.outlives} == OUTLIVES
    assert {name for name, operation in OPERATIONS.items() if operation.looks} == LOOKS


@pytest.mark.claim("U8")
@pytest.mark.parametrize("terms", [{"retain_until": PAST}, {"valid_from": FUTURE}, {"retain_until": "never"}])
def test_a_case_that_may_not_be_used_now_refuses_every_operation_but_those(tmp_path, terms):
    with made(tmp_path, **terms) as case:
        for number, action in enumerate([*OPERATIONS, "what nobody has thought of"]):
            way = [
                lambda: case.use(action),  # noqa: B023
                lambda: case.use(action, ends="ended"),  # noqa: B023
                lambda: case.change(action),  # noqa: B023
                lambda: case.run(action),  # noqa: B023
            ][number % (3 if action in OUTLIVES else 4)]
            if action in OUTLIVES:
                with way():
                    pass
                continue
            with pytest.raises(CaseError), way():
                pytest.fail("it was used")
            said = last(case)
            assert (said["action"], said["arguments"]["action"]) == ("refused", action)
        assert not case.log.verify().faults


@pytest.mark.claim("U9")
def test_nor_is_it_read_beside_another(tmp_path):
    (tmp_path / "other").mkdir()
    with made(tmp_path, retain_until=PAST) as expired, Case.create(tmp_path / "other", model=SPEC) as case:
        with pytest.raises(CaseError, match="was kept until 2020-01-31"), case.use("link") as use:
            expired.beside(use)
        assert last(expired)["action"] == "test"


def test_a_day_lasts_to_its_end_and_a_time_to_its_minute():
    day = Terms("2026-05-02", "2026-05-03")
    assert day.over("2026-05-01T23:59:59.999Z") == "may be used from 2026-05-02 on"
    assert not day.over("2026-05-02T00:00:00.000Z")
    assert not day.over("2026-05-03T23:59:59.999Z")
    assert day.over("2026-05-04T00:00:00.000Z") == "was kept until 2026-05-03, which is over"
    assert Terms(retain_until="2026-05-03T12:00Z").over("2026-05-03T12:00:00.000Z")
    assert not Terms(retain_until="9999-12-31").over("9999-12-31T23:00:00.000Z")


@pytest.mark.parametrize(
    "told",
    [
        {"retain_until": "2027-02-30"}, {"retain_until": "soon"}, {"valid_from": "2027"}, {"demands": "everything"},
        {"valid_from": "2027-02-02", "retain_until": "2027-02-01"}, {"purpose": "x" * 5000},
        {"retain_until": "2027-01-31T12:00+02:00"}, {"valid_from": "９999-01-01x"},
    ],
)  # fmt: skip
def test_what_are_no_terms_is_refused(told):
    with pytest.raises(UsageError):
        checked(told)


def test_a_case_is_not_made_to_be_over_at_once(tmp_path):
    with pytest.raises(UsageError, match="is over already"):
        Case.create(tmp_path / "case", model=SPEC, about={"retain_until": PAST})
    assert not (tmp_path / "case").exists()


# --- changing them


def test_an_owner_extends_an_expired_case_with_a_reason_and_the_log_keeps_what_was_before(tmp_path):
    with made(tmp_path, retain_until=PAST, purpose="rooms") as case:
        for until, reason in ((FUTURE, " "), (PAST, "why"), ("2020-02-01", "why")):
            with pytest.raises(UsageError):
                extend(case, until, reason)
        with pytest.raises(UsageError, match="extend it with"):
            set_terms(case, {"retain_until": FUTURE}, "why")
        with pytest.raises(UsageError, match="extend it with"):
            set_terms(case, {"retain_until": ""}, "why")
        assert extend(case, FUTURE, "the trial  goes on")["over"] == ""
        said = last(case)
        assert (said["action"], said["subject"]) == ("extend", {"before": {"retain_until": PAST}})
        assert said["arguments"] == {"reason": "the trial goes on", "retain_until": FUTURE}
        with case.use("search"):
            pass
        assert set_terms(case, {"purpose": "", "consent": "hers"}, "asked")["purpose"] == ""
        assert last(case)["subject"] == {"before": {"consent": "", "purpose": "rooms"}}


@pytest.mark.claim("C6")
def test_nobody_but_the_owner_changes_them(tmp_path, monkeypatch):
    with made(tmp_path, retain_until=PAST) as case:
        monkeypatch.setattr("os.getuid", lambda: 54321)
        for change in (lambda: extend(case, FUTURE, "why"), lambda: set_terms(case, {"purpose": "mine"}, "why")):
            with pytest.raises(CaseError, match="only the account that owns the case"):
                change()
        assert terms_of(case)["retain_until"] == PAST


# --- demanded


@pytest.mark.claim("U10")
@pytest.mark.parametrize("action", sorted(LOOKS))
def test_a_search_without_a_reason_is_refused_where_it_is_demanded(tmp_path, action):
    with made(tmp_path, demands="reason") as case:
        for told in ({}, {"reason": " "}):
            with pytest.raises(UsageError, match="--reason"), case.use(action, arguments=told):
                pytest.fail("it was used")
        case.asked = Asked("for the victim of 2026-11")
        with case.use(action):
            pass
        assert last(case)["arguments"]["reason"] == "for the victim of 2026-11"


@pytest.mark.claim("U11")
@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("export", {"format": "pdq"}), ("export", {"thumbnails": "clear"}), ("report", {"reveal": True}),
        ("explain", {"reveal": True}), ("overview", {"thumbnails": "clear"}), ("show faces", {"revealed": [1]}),
        ("decisions", {"labels": True}),
    ],
)  # fmt: skip
def test_what_leaves_has_a_recipient_and_a_purpose_where_they_are_demanded(tmp_path, action, told):
    with made(tmp_path, demands="release") as case:
        for asked in (Asked(), Asked("", "us"), Asked("", "", "to compare")):
            case.asked = asked
            with pytest.raises(UsageError, match=r"--recipient|--purpose"), case.use(action, arguments=told):
                pytest.fail("it was used")
        case.asked = Asked("", "us", "to compare")
        with case.use(action, arguments=told):
            pass
        said = last(case)["arguments"]
        assert (said["recipient"], said["purpose"]) == ("us", "to compare")
        case.asked = Asked()
        with case.use("report", arguments={"reveal": False}), case.use("search"):
            pass


# --- from outside


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terms")
    (folder / "in").mkdir()
    for seed in (1, 2):
        (folder / "in" / f"{seed}.png").write_bytes(encode(picture(seed), "PNG"))
    told = (
        "--purpose",
        "rooms of V12",
        "--consent",
        "hers, asked on 2 May",
        "--demand",
        "reason",
        "--demand",
        "release",
    )
    assert run("init", folder / "case", *told, "--retain-until", FUTURE).returncode == 0
    assert run("ingest", folder / "case", folder / "in").returncode == 0
    return folder


def test_a_refusal_is_one_line_and_exit_code_and_a_reason_stands_in_log_report_and_status(folder):
    case, query = folder / "case", folder / "in" / "1.png"
    done = run("search", case, query)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, b"", 1)
    assert b"--reason" in done.stderr
    page = folder / "sheet.html"
    asked = ("search", case, query, "--reason", "where was she", "--report", page)
    assert run(*asked, "--reveal").returncode == 1
    assert not page.exists()
    assert run(*asked, "--reveal", "--recipient", "Ann of BKA", "--purpose", "to look").returncode == 0
    text = page.read_text()
    for said in ("where was she", "Ann of BKA", "to look", "hers, asked on 2 May", FUTURE):
        assert said in text
    status = json.loads(run("status", case, "--format", "json").stdout)
    assert (status["consent"], status["retain_until"], status["demands"]) == (
        "hers, asked on 2 May",
        FUTURE,
        "reason release",
    )
    entries = [json.loads(line) for line in run("audit", "show", case, "--format", "jsonl").stdout.splitlines()]
    assert [e["arguments"].get("reason") for e in entries if e["action"] == "search"] == ["where was she"]
    assert run("audit", "statement", case, "1", "-o", folder / "statement").returncode == 0
    assert "hers, asked on 2 May" in (folder / "statement" / "statement.txt").read_text()


FORMATS = [
    ("pack", ".zip", ("--thumbnails", "--reveal")), ("portable", ".html", ()), ("portable", "", ("--thumbnails",)),
    ("vics", ".json", ()), ("pdq", ".txt", ()), ("csv", "", ()), ("case-uco", ".json", ()), ("html", ".html", ()),
    ("html", "", ("--reveal",)),
]  # fmt: skip


@pytest.mark.claim("U12")
@pytest.mark.parametrize(("format", "ending", "more"), FORMATS)
def test_a_file_that_turns_up_is_traced_to_its_release(folder, tmp_path, format, ending, more):
    case, target = folder / "case", tmp_path / f"out{ending}"
    told = ("--recipient", f"office {tmp_path.name}", "--purpose", "to compare")
    done = invoke("export", case, "-o", target, "--format", format, *more, *told)
    assert done.exit_code == 0, done.output
    files = [target] if target.is_file() else [path for path in target.rglob("*") if path.is_file()]
    assert files
    with Case.open(case) as opened:
        entries = list(opened.log.entries())
        for file in files:
            rows = releases(opened, hashlib.sha256(file.read_bytes()).hexdigest())
            row = next(row for row in rows if row["target"] == str(target))
            assert (row["recipient"], row["purpose"]) == (f"office {tmp_path.name}", "to compare")
            assert row["clear"] is ("--reveal" in more)
            assert file.name in [listed["name"].rpartition("/")[2] for listed in row["listed"]]
            assert entries[row["entry"] - 1]["release"] == row["release_id"]


def test_a_file_is_asked_about_by_its_name_or_its_hash(folder, tmp_path):
    case, target = folder / "case", tmp_path / "out.txt"
    told = ("--recipient", "office", "--purpose", "to compare")
    assert invoke("export", case, "-o", target, "--format", "pdq", *told).exit_code == 0
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    for asked in (("--of", target), ("--sha256", digest.upper())):
        done = invoke("releases", case, *asked, "--format", "json")
        assert str(target) in [row["target"] for row in json.loads(done.stdout)]
    target.write_bytes(b"another")
    assert "no release has a file" in str(invoke("releases", case, "--of", target).exception)
    assert "is no SHA-256" in str(invoke("releases", case, "--sha256", "12").exception)


def test_an_expired_case_is_refused_by_its_commands_and_verified_by_others(folder, monkeypatch):
    case = folder / "expired"
    assert run("init", case, "--retain-until", (date.today() + timedelta(days=40)).isoformat()).returncode == 0
    with Case.open(case) as opened, opened.change("test") as change:
        change.writer.meta.set({"retain_until": PAST})
    for words in (
        ("ingest", case, folder / "in"),
        ("export", case, "--format", "pdq", "-o", folder / "x"),
        ("issues", case),
    ):
        assert "terms extend" in str(invoke(*words).exception)
    for words in (("status", case), ("audit", "verify", case), ("check", case), ("erasures", case), ("releases", case)):
        assert invoke(*words).exit_code == 0, words
    assert b"which is over" in run("status", case).stdout
    assert run("terms", "extend", case, "--until", FUTURE, "--reason", "appeal").returncode == 0
    assert run("ingest", case, folder / "in").returncode == 0


def test_the_documentation_on_consent_names_its_sources():
    text = (ROOT / "docs" / "consent.md").read_text()
    assert len(re.findall(r"^\[\w+\]: https://", text, re.MULTILINE)) >= 5


def test_drawings_and_label_tables_are_listed_as_releases_by_their_bytes(tmp_path):
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.png").write_bytes(encode(textured(seed, (320, 240 + len(name))), "PNG"))
    case, query = tmp_path / "case", tmp_path / "in" / "one.png"
    for words in (
        ["init", case],
        ["ingest", case, tmp_path / "in"],
        ["explain", case, query, 2, "-o", tmp_path / "why.png", "--reveal"],
        ["decide", case, "1", "2", "confirmed", "--examiner", "Ada"],
        ["decide", case, "--labels", tmp_path / "labels.csv", "--recipient", "Office"],
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    for file, what, clear in (("why.png", "explain", True), ("labels.csv", "labels", False)):
        (row,) = run_json("releases", case, "--of", tmp_path / file)
        assert (row["what"], row["clear"]) == (what, clear), row
    assert row["recipient"] == "Office"
