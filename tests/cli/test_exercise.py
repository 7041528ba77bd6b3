"""The exercise: the same folder every time, answers marked, and a key that whoever learns does not stumble upon."""

import json

import pytest

from cli.exercise.making import key
from imgmatch.lab.exercise import roles
from tests.conftest import run, snapshot


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exercise") / "x"
    done = run("exercise", folder)
    assert done.returncode == 0, done.stderr
    return folder


def answered(folder, tmp_path, **changes):
    lines = {one.name: one.right for one in key(folder)} | {name.replace("_", " "): v for name, v in changes.items()}
    (tmp_path / "mine.txt").write_text("".join(f"{name}: {text}\n" for name, text in lines.items()))
    done = run("exercise", folder, "--check", tmp_path / "mine.txt")
    return done.returncode, done.stdout.decode()


def test_a_folder_with_all_that_the_story_names(made):
    story = (made / "story.txt").read_text()
    assert {path.name for path in (made / "evidence").iterdir()} == {"phone-A", "phone-B", "phone-C"}
    for path in ("queries/advertisement.jpg", "queries/second-advertisement.jpg", "hotels.csv", roles(1).asked):
        assert path in story
        assert (made / path).is_file()
    rows = (made / "hotels.csv").read_text().splitlines()[1:]
    assert len({row.split(",")[1] for row in rows}) == 4
    assert all((made / row.split(",")[0]).is_file() for row in rows)
    page = (made / "story.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    # The key is in no file: neither why, nor which letters.
    told = "".join(path.read_text() for path in made.iterdir() if path.is_file() and path.suffix != ".csv")
    assert not any(one.why in told for one in key(made))
    assert json.loads((made / "exercise.json").read_text()) == {"imgmatch_exercise": 1, "seed": 1}


def test_the_same_seed_gives_the_same_files_and_another_one_other_answers(made, tmp_path):
    assert run("exercise", tmp_path / "again", "--seed", 1).returncode == 0
    contents = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (made, tmp_path / "again")
    ]
    assert contents[0] == contents[1]
    assert len({(roles(seed).hotel, roles(seed).phones) for seed in range(12)}) > 4
    assert len({roles(seed).false_hit for seed in range(12)}) == 12


def test_right_answers_are_right_however_they_are_written(made, tmp_path):
    code, said = answered(made, tmp_path)
    assert (code, said.splitlines()[-1]) == (0, "6 of 6 are right.")
    told = roles(1)
    first, second = told.phones
    code, said = answered(
        made, tmp_path, hotel=told.hotel.upper(), phones=f"phone-{second} and Phone {first}", court="D, B",
        false_hit=told.false_hit.replace("/", "\\"), why="B)",
    )  # fmt: skip
    assert code == 0, said
    code, said = answered(
        made, tmp_path, phones=f"{second}{first}", court="b) and d)", why="b: they are not the same pictures",
        not_found="(c)", false_hit=told.false_hit.rpartition("/")[2].removesuffix(".jpg"),
    )  # fmt: skip
    assert code == 0, said


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("hotel", "Harbor"),
        ("phones", "A"),
        ("false_hit", "IMG_1.jpg"),
        ("why", ""),
        ("why", "because"),
        ("court", "b"),
        ("court", "a b d"),
    ],
)
def test_a_wrong_answer_gets_a_hint_and_not_the_answer(made, tmp_path, name, given):
    code, said = answered(made, tmp_path, **{name: given})
    assert code == 1
    (question,) = (one for one in key(made) if one.name == name.replace("_", " "))
    assert question.hint in said
    assert question.why not in said
    assert "5 of 6 are right." in said


def test_whoever_teaches_gets_the_key(made):
    said = run("exercise", made, "--key").stdout.decode()
    assert all(f"{one.name}: {one.right}" in said for one in key(made))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("{made}",), 1, "not empty"),
        (("{made}", "--check", "{made}/none.txt"), 1, "answers.txt"),
        (("{made}", "--check", "{made}/queries/advertisement.jpg"), 1, "no text"),
        (("{made}", "--check", "{made}/hotels.csv"), 1, "holds no answer"),
        (("{made}/evidence", "--key"), 1, "holds no exercise"),
        (("{made}", "--key", "--seed", "3"), 1, "one of"),
    ],
)
def test_wrong_use_is_one_line_and_changes_nothing(made, words, code, told):
    before = snapshot(made)
    done = run("exercise", *(word.format(made=made) for word in words))
    assert done.returncode == code
    assert told in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert snapshot(made) == before
