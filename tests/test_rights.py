"""People and rights: every operation, every command and every route of the review page, for every role; what is held by
keys and what by the library; two persons; deliveries.
"""

import json
import os
import shutil
from contextlib import ExitStack, contextmanager

import pytest

import imgmatch.models
from imgmatch.errors import CaseError, UsageError
from imgmatch.vault import age, unlock
from imgmatch.vault.keys import PURPOSES, LockedError
from imgmatch.vault.ring import Identity, Passphrase, Ring
from indexer.care.access import grant, people, revoke, rotate
from indexer.care.delivered import take_in
from indexer.care.terms import set_terms
from indexer.case.case import Case
from indexer.case.operations import OPERATIONS, Role
from indexer.case.people import KEYS
from indexer.case.place import Owner
from indexer.case.readlog import log_alone
from indexer.case.recorded import Recorded
from indexer.case.sealing import decrypt, encrypt
from indexer.intake.delivery import deliver, deliveries
from indexer.search import decisions
from tests import test_recorded as recorded
from tests.conftest import ROOT, encode, textured
from tests.indexer import vectors
from tests.indexer.vectors import SPEC
from tests.test_recorded import COMMANDS, NOT_RECORDED, ROUTES, ask, folder, invoke  # noqa: F401 (a fixture)

pytest.importorskip("pyrage")
pytest.importorskip("sqlcipher3")

INSIDE = [Role.owner, Role.examiner, Role.reviewer]
"""Those whose keys open the catalogue."""
EVERYBODY = [*INSIDE, Role.auditor, Role.contributor]


@pytest.fixture(scope="module", autouse=True)
def soon():
    """No wrong key is waited for, and passphrases are stretched for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgmatch.vault.ring._ARGON2ID", {"memory_kib": 8192, "iterations": 2, "lanes": 1})
        patch.setattr("imgmatch.vault.unlock._wait", lambda place: None)
        yield
    unlock.ask_by(unlock.from_environment)


@pytest.fixture(scope="module")
def ids(tmp_path_factory):
    """A key for each role, as text, with its public half and as a file; the contributor's opens nothing."""
    place = tmp_path_factory.mktemp("identities")
    made = {}
    for role in EVERYBODY:
        secret, public = age.new_identity()
        (place / role).write_text(secret + "\n")
        made[role] = (Identity(secret), public, place / role)
    return made


def let_in(case, ids):
    for role in EVERYBODY[1:]:
        grant(case, f"the {role}", role, None if role is Role.contributor else ids[role][1])


@pytest.fixture(scope="module")
def small(tmp_path_factory, ids):
    """An encrypted case with nothing in it, and a person of each role."""
    path = tmp_path_factory.mktemp("small") / "case"
    with Case.create(path, model=SPEC, owner=Owner("the owner", ids[Role.owner][1])) as case:
        let_in(case, ids)
    return path


@pytest.fixture
def case(small, tmp_path):
    return shutil.copytree(small, tmp_path / "case")


@contextmanager
def opened(case, ids, role, **more):
    with Case.open(case, unlock=ids[role][0], **more) as one:
        yield one


def entries(case, ids):
    with opened(case, ids, Role.owner) as one:
        return list(one.log.entries())


# --- by keys


@pytest.mark.claim("C7")
def test_a_role_holds_its_keys_and_no_others(small, ids):
    ring = Ring.read(small)
    for role in EVERYBODY:
        if role is Role.contributor:
            with pytest.raises(LockedError):
                ring.unlock(ids[role][0])
            continue
        keys = ring.unlock(ids[role][0])
        wanted = PURPOSES if KEYS[role] is None else KEYS[role]
        assert set(keys.held) - {"names"} == set(wanted) - {"names"}
        assert (keys.master is not None) is (role is Role.owner)


@pytest.mark.claim("C8")
def test_an_auditor_reads_the_log_and_numbers_and_opens_nothing_else(case, ids):
    with opened(case, ids, Role.owner) as one, one.use("search", subject={"query": "a name of evidence"}):
        pass
    with pytest.raises(LockedError, match="does not open the catalogue"):
        Case.open(case, unlock=ids[Role.auditor][0])
    alone = log_alone(case, ids[Role.auditor][0])
    assert [entry["action"] for entry in alone.entries()] == [
        "init",
        *["grant", "granted"] * 4,
        "signed",
        "search",
        "signed",
    ]
    assert alone.verify().faults == []
    assert alone.numbers["items"] == 0
    assert not {"purpose", "authority", "consent", "examiner"} & set(alone.numbers)
    for role in INSIDE:
        assert log_alone(case, ids[role][0]) is None
    with pytest.raises(LockedError):
        log_alone(case, ids[Role.contributor][0])


@pytest.mark.claim("C9")
def test_only_who_holds_the_case_s_key_lets_in_and_puts_out(case, ids):
    _, public = age.new_identity()
    for role in INSIDE[1:]:
        with opened(case, ids, role) as one:
            with pytest.raises(CaseError, match="may not grant"):
                grant(one, "another", Role.owner, public)
            keys = one.place.keys
            with pytest.raises(LockedError, match="ask an owner"):  # the library aside, the keys do not let them
                one.place.ring.granted(keys, "another", public)
            with pytest.raises(LockedError):
                one.place.ring.rekeyed(keys)


def test_two_readers_are_told_apart_by_the_keys_that_opened_the_case(case, ids):
    said = []
    with opened(case, ids, Role.owner) as one:
        vectors.add(one, vectors.clouds(0, 2))
        decisions.want_second_reader(one, True)
        for name in ("Ada", "Grace"):  # one person, two names
            row = decisions.decide(one, "1", "2", "confirmed", examiner=name, warn=said.append)
        assert row.account.endswith("key of the owner")
        assert [entry["stands"] for entry in decisions.history(one)] == ["possible"] * 2
    assert "Ada confirmed it under the same account" in said.pop()
    with opened(case, ids, Role.examiner) as one:
        decisions.decide(one, "1", "2", "confirmed", examiner="Edsger", warn=said.pop)
        assert [entry["stands"] for entry in decisions.history(one)] == ["confirmed"] * 3


# --- by the library, for what the keys open


@pytest.mark.claim("C12")
@pytest.mark.parametrize("role", INSIDE)
def test_every_operation_is_done_by_who_may_and_refused_to_others(case, ids, role):
    with opened(case, ids, role) as one:
        for number, (action, operation) in enumerate(OPERATIONS.items()):
            way = [lambda: one.use(action), lambda: one.use(action, ends="x"), lambda: one.change(action)][number % 3]  # noqa: B023
            if role in operation.roles:
                with way():
                    pass
                continue
            with pytest.raises(CaseError, match=f"the {role} is {role} here, and may not"), way():
                pytest.fail(f"{action} was done")
            (said,) = one.log.entries(last=1)
            assert (said["action"], said["arguments"]["action"]) == ("refused", action)


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("explain", {"reveal": True}), ("overview", {"thumbnails": True}), ("show faces", {"revealed": [2]}),
        ("decisions", {"labels": True}), ("search", {"thumbnails": "clear"}),
    ],
)  # fmt: skip
def test_what_shows_or_hands_out_more_is_asked_for_too(case, ids, action, told):
    with opened(case, ids, Role.reviewer) as one:
        with pytest.raises(CaseError, match="may not"), one.use(action, arguments=told):
            pytest.fail("it was done")
        with one.use(action):
            pass
    with opened(case, ids, Role.examiner) as one, one.use(action, arguments=told):
        pass


@pytest.mark.claim("C16")
def test_a_role_that_nobody_gave_is_the_least(case, ids, tmp_path):
    secret, public = age.new_identity()
    with opened(case, ids, Role.owner) as one:
        ring = one.place.ring.granted(one.place.keys, "odd", public, ["catalogue", "vectors", "log"], {"role": "owner"})
        ring.write(case)
    with Case.open(case, unlock=Identity(secret)) as one:
        assert one.member.role is Role.auditor
        with pytest.raises(CaseError, match="may not search"), one.use("search"):
            pass


# --- every command


class _PassedError(Exception):
    """A command came to where it may do something."""


@pytest.fixture(scope="module")
def full(folder, ids, tmp_path_factory):  # noqa: F811
    """The case that every command is tried on, encrypted, with a person of each role; and files that they take."""
    place = tmp_path_factory.mktemp("rights")
    shutil.copytree(folder / "case", place / "case")
    recorded.on_files(place / "case")
    from imgmatch.models.faces import weights

    if weights.installed():
        invoke("faces", "enable", place / "case", "--authority", "court", "--reason", "victims")
    invoke("audit", "statement", place / "case", 1, "-o", place / "made")
    with Case.open(place / "case") as case:
        encrypt(case, Owner("the owner", ids[Role.owner][1]))
    with opened(place / "case", ids, Role.owner) as case:
        let_in(case, ids)
    for name in ("token", "public"):
        (place / name).write_bytes(b"none")
    places = {path.stem: path for path in folder.iterdir()} | {"statement": place / "made" / "statement.json"}
    return place / "case", places | {"token": place / "token", "public": place / "public", "sha": "0" * 64}


ROWS = [(name, rest, leaves) for name, rest, leaves in COMMANDS]
ROWS += [(name, rest, "") for name, (rest, _) in NOT_RECORDED.items()]
ROWS += [
    ("access list", "", "list access"),
    ("access grant", "Ann --role auditor --recipient {age}", "grant"),
    ("access passphrase", "", "passphrase"),
    ("access revoke", "{reviewer}", "revoke"),
    ("access rotate", "", "rotate"),
    ("access take-in", "", "merge"),
    ("decrypt", "", "decrypt"),
    ("destroy", "--certificate {out} --reason asked --yes", "destroy"),
]
FOR_ALL = {"access key": "anybody may know the public key", "deliver": "that is all that it takes"}
OF_PLAIN_CASES = {
    "init": "makes one",
    "demo": "makes one",
    "encrypt": "of a plain case, which has no roles",
    "index move": "an encrypted case has no index on a server",
    "audit verify-statement": "what was handed out",
}
REFUSED = ("may not", "does not open", "can't be opened", "key, which you don't hold")
BY_LOG = ("status", "audit verify", "audit head", "audit show", "audit export", "audit receipt")
"""What the key of the log alone opens."""


ROWS = [row for row in ROWS if row[0] not in OF_PLAIN_CASES]


def may(role, name, rest, leaves):
    """Does the table let this role do all that a command does?"""
    if role is Role.contributor:
        return False
    if role is Role.auditor:
        return name in BY_LOG
    actions = leaves.split(", ") if "list" in leaves or "faces" in name or "," in leaves else leaves.split()
    asked = [OPERATIONS[action] for action in actions if action in OPERATIONS]
    asked += [OPERATIONS["pictures"]] if "--thumbnails" in rest else []
    asked += [OPERATIONS["export"]] if "--labels {out}" in rest and name == "decide" else []
    assert asked or not leaves, f"{name}: no operation of {leaves} is in the table"
    return all(role in operation.roles for operation in asked)


def test_every_command_is_walked_for_every_role():
    every = {name for name, _ in recorded.commands()}
    of_no_case = {name for name in every if name.startswith(recorded.OF_NO_CASE)}
    assert {name for name, _, _ in ROWS} | FOR_ALL.keys() | OF_PLAIN_CASES.keys() == every - of_no_case


@pytest.mark.claim("C13")
@pytest.mark.slow
@pytest.mark.parametrize("role", EVERYBODY)
@pytest.mark.parametrize(("name", "rest", "leaves"), ROWS, ids=[f"{n} {r}".strip() for n, r, _ in ROWS])
def test_a_command_does_what_the_role_may_and_no_more(full, ids, tmp_path, monkeypatch, name, rest, leaves, role):
    if name.startswith("faces ") and not recorded.weights.installed():
        pytest.skip("faces are not installed: pip install 'imgmatch[faces]'")
    made, places = full
    case, out = shutil.copytree(made, tmp_path / "case"), tmp_path / "out"
    words = {**places, "out": out, "apart": 1, "age": age.new_identity()[1], "case": case}
    words["reviewer"] = "the\0reviewer"
    first, *second = name.split()
    given = [word.format(**words).replace("\0", " ") for word in rest.split()]
    monkeypatch.setenv(unlock.IDENTITY, str(ids[role][2]))
    allowed = may(role, name, rest, leaves)
    require = Recorded.require

    def asked(self, action, arguments=None):
        require(self, action, arguments)
        if allowed and self.path == case:
            raise _PassedError

    monkeypatch.setattr(Recorded, "require", asked)
    before = Ring.read(case).room
    done = invoke(first, *second, case, *given)
    if allowed and leaves:
        assert isinstance(done.exception, _PassedError), (done.exception, done.output)
    elif allowed:
        assert done.exit_code == 0, (done.exception, done.output)
    else:
        assert isinstance(done.exception, CaseError | UsageError), (done.exception, done.output)
        assert any(why in str(done.exception) for why in ("may not", "does not open", "can't be opened")), (
            done.exception
        )
        assert recorded.SECRET not in done.output
        assert not out.exists()
        assert Ring.read(case).room == before


# --- every route


@pytest.fixture(scope="module")
def pages(full, ids, tmp_path_factory):
    """A page of each role that can open one."""
    pytest.importorskip("starlette", reason="starlette is not installed: pip install 'imgmatch[review]'")
    from cli.review.app import Bell, make_app
    from cli.review.door import Door
    from indexer.review import Desk

    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    made = {}
    with ExitStack() as stack:
        for role in INSIDE:
            case = stack.enter_context(
                opened(shutil.copytree(full[0], tmp_path_factory.mktemp(role) / "case"), ids, role)
            )
            desk = Desk(case, embedder, "Ada")
            stack.callback(desk.close)
            door = Door(1800)
            bell = Bell(lambda: None, lambda desk=desk: desk.entered("127.0.0.1", 1), lambda why: None)
            page = make_app(desk, door, bell)
            for item in ("1", "2"):
                ask(page, "POST", "/queries/item", {"item": item})
            if recorded.weights.installed():
                desk.upload("face.png", full[1]["face"].read_bytes())
            ask(page, "POST", "/searches", {"query": 1})
            ask(page, "POST", "/groups/start", {"least": "0.5"})
            desk.stacks.wait()
            ask(page, "GET", "/searches/1/items/2/geometry")
            made[role] = (desk, page, door)
        yield made


@pytest.mark.claim("C14")
@pytest.mark.parametrize("role", INSIDE)
def test_every_route_does_what_the_role_may_and_no_more(pages, tmp_path, role):
    desk, page, door = pages[role]
    for route, request, leaves in sorted(ROUTES, key=lambda row: row[0] == "POST /end"):  # which ends it
        if route.startswith("POST /faces") and not recorded.weights.installed():
            continue
        path, body = request if isinstance(request, tuple) else (request, None)
        body = encode(textured(7), "JPEG") if route == "POST /queries" else body
        if isinstance(body, dict) and "folder" in body:
            body = {**body, "folder": str(tmp_path / "report")}
        body = {"code": door.code()} if route == "POST /session" else body
        status, answer = ask(page, route.split()[0], path, body)
        desk.stacks.wait()
        asked = [OPERATIONS[action] for action in leaves if action in OPERATIONS] if isinstance(leaves, list) else []
        if all(role in operation.roles for operation in asked):
            assert status == 200, (route, answer)
        else:
            assert status == 400, (route, answer)
            assert b"may not" in answer
    assert (tmp_path / "report").exists() is (role is not Role.reviewer)


@pytest.mark.parametrize("role", [Role.auditor, Role.contributor])
def test_no_sitting_begins_for_who_opens_no_catalogue(full, ids, monkeypatch, role):
    monkeypatch.setenv(unlock.IDENTITY, str(ids[role][2]))
    assert isinstance(invoke("review", full[0], "--no-browser").exception, LockedError)


# --- people


@pytest.mark.claim("C10")
def test_who_is_put_out_opens_nothing_any_more_and_the_others_do(case, ids):
    old = Ring.read(case).unlock(ids[Role.reviewer][0])
    with opened(case, ids, Role.owner) as one:
        revoke(one, "the reviewer")
    for secret in (ids[Role.reviewer][0], old):
        with pytest.raises(CaseError):
            Case.open(case, unlock=secret).catalogue.counts()
    for role in (Role.owner, Role.examiner):
        with opened(case, ids, role) as one:
            names = [row["name"] for row in people(one)] if role is Role.owner else []
    assert names == ["the owner", "the examiner", "the auditor"] or role is Role.examiner
    (said,) = [entry for entry in entries(case, ids) if entry["action"] == "revoke"]
    assert said["arguments"]["without"] == ["the reviewer"]


def test_the_last_owner_stays_and_nobody_is_let_in_twice(case, ids):
    with opened(case, ids, Role.owner) as one:
        for name, why in (("the owner", "is the only owner"), ("nobody", "nobody of that name")):
            with pytest.raises(UsageError, match=why):
                revoke(one, name)
        with pytest.raises(UsageError, match="is a person of this case already"):
            grant(one, "the owner", Role.auditor, age.new_identity()[1])
        for access, role in ((None, Role.owner), (age.new_identity()[1], Role.contributor), ("age1", Role.auditor)):
            with pytest.raises(UsageError):
                grant(one, "another", role, access)
        assert [row["name"] for row in people(one)] == [f"the {role}" for role in EVERYBODY[:-1]]


def test_without_a_log_nobody_is_listed_or_let_in(case, ids, monkeypatch):
    before = Ring.read(case).people(Ring.read(case).unlock(ids[Role.owner][0]))
    with opened(case, ids, Role.owner) as one:
        recorded.without_log(monkeypatch, one.place.room)
        for use in (people, lambda case: grant(case, "another", Role.auditor, age.new_identity()[1])):
            with pytest.raises(CaseError, match="can't be recorded"):
                use(one)
    assert Ring.read(case).people(Ring.read(case).unlock(ids[Role.owner][0])) == before


def test_a_plain_case_has_no_people(tmp_path):
    with Case.create(tmp_path / "plain", model=SPEC) as one:
        assert one.member is None
        for ask_for in (people, rotate, lambda case: grant(case, "x", Role.owner, "age1"), take_in):
            with pytest.raises(UsageError, match="is not encrypted"):
                ask_for(one)
        with pytest.raises(UsageError, match="a plain case has no people"):
            set_terms(one, {"demands": "two-persons"}, "why")
    with pytest.raises(UsageError, match="a plain case has no people"):
        Case.create(tmp_path / "another", model=SPEC, about={"demands": "two-persons"})


# --- two persons

TWO = [
    ("reveal", {}),
    ("export", {"thumbnails": "blurred"}),
    ("report", {"reveal": True}),
    ("delete", {}),
    ("erase", {}),
]


@pytest.mark.claim("C15")
def test_two_persons_are_needed_where_the_case_says_so(case, ids):
    with opened(case, ids, Role.owner) as one:
        set_terms(one, {"demands": "two-persons"}, "as we agreed")
        for action, told in TWO:
            with pytest.raises(CaseError, match="needs a second person's key"), one.use(action, arguments=told):
                pytest.fail("it was done alone")
        with one.use("export"), one.use("search"):
            pass
        with pytest.raises(CaseError, match="needs a second person's key"):
            decrypt(one)
        with pytest.raises(CaseError, match="two persons take that back"):
            set_terms(one, {"demands": ""}, "alone")
        for secret, why in ((Role.owner, "is who opened it"), (Role.auditor, "is auditor here")):
            with pytest.raises(CaseError, match=why):
                one.stand_by(ids[secret][0])
        with pytest.raises(LockedError):
            one.stand_by(ids[Role.contributor][0])
        assert one.second is None
        one.stand_by(ids[Role.reviewer][0])
        for action, told in TWO:
            with one.use(action, arguments=told):
                pass
            (said,) = one.log.entries(last=1)
            assert said["arguments"]["second"] == "the reviewer"
        set_terms(one, {"demands": ""}, "together")
    with opened(case, ids, Role.examiner) as one, one.use("reveal"):
        pass


def test_a_second_person_is_named_on_the_command_line(case, ids, monkeypatch):
    with opened(case, ids, Role.owner) as one:
        grant(one, "Ann", Role.examiner, Passphrase("Ann", "her phrase"))
        set_terms(one, {"demands": "two-persons"}, "why")
    monkeypatch.setenv(unlock.IDENTITY, str(ids[Role.owner][2]))
    done = invoke("delete", case, "--sha256", "0" * 64, "--reason", "x")
    assert "needs a second person's key" in str(done.exception)
    monkeypatch.setenv("IMGMATCH_SECOND_PASSPHRASE", "another")
    assert isinstance(invoke("--second", "Ann", "delete", case, "--sha256", "0" * 64).exception, LockedError)
    monkeypatch.setenv("IMGMATCH_SECOND_PASSPHRASE", "her phrase")
    done = invoke("--second", "Ann", "delete", case, "--sha256", "0" * 64, "--reason", "x")
    assert done.exit_code == 0, done.exception
    by_key = ("--second-identity", ids[Role.examiner][2])
    assert invoke(*by_key, "delete", case, "--sha256", "1" * 64, "--reason", "x").exit_code == 0
    seconds = [entry["arguments"].get("second") for entry in entries(case, ids) if entry["action"] == "delete"]
    assert seconds == ["Ann", "the examiner"]


# --- deliveries


@pytest.fixture
def handed_in(case, ids, tmp_path):
    """A delivery, by somebody who has the public key alone."""
    (tmp_path / "in").mkdir()
    for seed in (1, 2):
        (tmp_path / "in" / f"{recorded.SECRET}-{seed}.jpg").write_bytes(encode(textured(seed), "JPEG"))
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    return deliver(Ring.read(case).inbox, case / "inbox", [tmp_path / "in"], embedder)


@pytest.fixture
def rooms(ids, tmp_path):
    """An encrypted case by the shipped model."""
    spec = imgmatch.models.model_spec(imgmatch.models.DEFAULT_MODEL)
    with Case.create(tmp_path / "case", model=spec, owner=Owner("the owner", ids[Role.owner][1])) as made:
        let_in(made, ids)
    return tmp_path / "case"


@pytest.mark.claim("C11")
def test_a_delivery_is_sealed_for_the_case_alone_and_taken_in_once(rooms, ids, tmp_path):
    made = handed_in.__wrapped__(rooms, ids, tmp_path)
    assert made.report.new_items == 2
    seen = b"".join(file.read_bytes() for file in made.folder.rglob("*") if file.is_file())
    assert recorded.SECRET.encode() not in seen
    assert not any(word in seen for word in (b"SQLite format", b"NUMPY", b"sightings", b'"action"'))
    unlock.ask_by(lambda place, attempt: None)  # what this process held is forgotten, as when it ends
    for role in EVERYBODY:
        with pytest.raises(LockedError):
            Case.open(made.folder, unlock=ids[role][0])
    shutil.copytree(made.folder, made.folder.with_name("delivery-cut.part"))
    shutil.copytree(made.folder, tmp_path / "by post")
    with opened(rooms, ids, Role.owner) as one:
        for ask_for in (rotate, lambda case: revoke(case, "the reviewer")):
            with pytest.raises(UsageError, match="1 deliveries wait"):
                ask_for(one)
    with opened(rooms, ids, Role.reviewer) as one, pytest.raises(CaseError, match="may not merge"):
        take_in(one)
    with opened(rooms, ids, Role.examiner) as one:
        (taken,) = take_in(one)
        assert (taken.why, taken.merged.items, one.catalogue.counts()["items"]) == ("", 2, 2)
        assert deliveries(rooms) == []
        (again,) = take_in(one, [tmp_path / "by post"])
        assert (again.merged.items, again.merged.known) == (0, 2)
        with one.use("show") as use:
            names = [row.locator.path for row in use.catalogue.sightings.all()]
    assert sorted(os.path.basename(name) for name in names) == [f"{recorded.SECRET}-{n}.jpg" for n in (1, 2)]


def test_a_delivery_of_another_case_or_a_damaged_one_stays_and_is_said(rooms, ids, tmp_path):
    made = handed_in.__wrapped__(rooms, ids, tmp_path)
    _, other = age.new_identity()
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    wrong = deliver(other, rooms / "inbox", [tmp_path / "in"], embedder)
    (rooms / "inbox" / "delivery-odd").mkdir()
    catalogue = next(made.folder.glob("sealed-*/catalogue.sqlite"))
    data = bytearray(catalogue.read_bytes())
    data[len(data) // 2] ^= 1
    catalogue.write_bytes(data)
    unlock.ask_by(lambda place, attempt: None)
    with opened(rooms, ids, Role.owner) as one:
        taken = take_in(one)
        assert [bool(row.why) for row in taken] == [True] * 3, taken
        assert len(deliveries(rooms)) == 3
        assert one.catalogue.counts()["items"] == 0
    assert wrong.folder.exists()


def test_deliveries_from_the_command_line(rooms, ids, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(encode(textured(3), "JPEG"))
    monkeypatch.delenv(unlock.IDENTITY, raising=False)
    key = json.loads(invoke("access", "key", rooms, "--format", "json").stdout)["public_key"]
    done = invoke("deliver", "--to", key, "-o", tmp_path / "sent", tmp_path / "in")
    assert done.exit_code == 0, done.output
    assert invoke("deliver", "--case", rooms, tmp_path / "in").exit_code == 0
    for wrong in (["--to", key], ["--case", rooms, "--to", key], [], ["--to", "age1no", "-o", tmp_path / "x"]):
        assert isinstance(invoke("deliver", *wrong, tmp_path / "in").exception, UsageError)
    monkeypatch.setenv(unlock.IDENTITY, str(ids[Role.examiner][2]))
    done = invoke("ingest", rooms, tmp_path / "in")
    assert done.exit_code == 0, done.exception
    assert not deliveries(rooms)
    (sent,) = (tmp_path / "sent").iterdir()
    done = invoke("access", rooms, "take-in", sent, "--format", "json")
    assert json.loads(done.stdout)[0]["known"] == 1, done.output


# --- the documentation


def table():
    """The table of docs/rights.md, from the code."""
    lines = ["| operation | what | " + " | ".join(EVERYBODY) + " | expired | demands |", "|---|---|" + "---|" * 7]
    for name, row in OPERATIONS.items():
        marks = ["yes" if role in row.roles else "" for role in EVERYBODY]
        demands = [word for word, on in (("reason", row.looks), ("release", row.leaves), ("two", row.two)) if on]
        expired = "yes" if row.outlives else ""
        lines.append(f"| `{name}` | {row.does} | {' | '.join(marks)} | {expired} | {', '.join(demands)} |")
    return [" ".join(line.split()) for line in lines]


def test_the_documentation_has_the_table_of_the_code():
    text = (ROOT / "docs" / "rights.md").read_text()
    said = [" ".join(line.split()) for line in text.splitlines() if line.startswith("|")]
    start = said.index(table()[0])
    assert said[start : start + len(table())] == table()
