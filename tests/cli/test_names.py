"""Names on the command line that occur nowhere: an error with exit code 2 that says what is nearest."""

import hashlib

import pytest

from tests.conftest import encode, run, textured


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    (folder / "in").mkdir()
    for number in range(2):
        (folder / "in" / f"{number}.jpg").write_bytes(encode(textured(number), "JPEG"))
    (folder / "labels.csv").write_text("file;Label;city\nin\\0.jpg;Hotel 003;Ghent\nin\\1.jpg;Hotel 17;Köln\n")
    (folder / "list.txt").write_text(hashlib.md5((folder / "in" / "0.jpg").read_bytes()).hexdigest() + "\n")
    assert run("init", folder / "case").returncode == 0
    assert run("ingest", folder / "case", folder / "in", "--labels", folder / "labels.csv").returncode == 0
    assert (
        run("known", "import", folder / "case", folder / "list.txt", "--as", "known", "--name", "films").returncode == 0
    )
    return folder / "case"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--label", "hotel 003"], "no label 'hotel 003'; did you mean 'Hotel 003'"),
        (["--exclude-label", "Hotel 03"], "did you mean 'Hotel 003'"),
        (["--label", "city=ghent"], "no label 'city=ghent'; did you mean 'city=Ghent'"),
        (["--label", "cty=Ghent"], "no label column 'cty'; did you mean 'city'"),
        (["--label", "Ghent"], "city=Ghent"),
        (["--by", "label", "--label-column", "City"], "no label column 'City'; did you mean 'city'"),
        (["--list", "film"], "no hash list 'film'; did you mean 'films'"),
        (["--exclude-list", "other"], "there are: films"),
        (["--source", "{folder}/inn"], "did you mean '{folder}/in'"),
        (["--model", "imgmatch-room"], "no model 'imgmatch-room'; did you mean 'imgmatch-rooms'"),
    ],
)
def test_what_occurs_nowhere_is_said_with_what_is_nearest(case, options, said):
    options = [option.format(folder=case.parent) for option in options]
    done = run("search", case, case.parent / "in" / "0.jpg", *options)
    assert done.returncode == 2, done.stderr
    assert said.format(folder=case.parent) in done.stderr.decode()
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "command", [["known", "remove", "{case}", "film"], ["known", "match", "{case}", "--name", "film"]]
)
def test_lists_too(case, command):
    done = run(*(part.format(case=case) for part in command))
    assert (done.returncode, b"did you mean 'films'" in done.stderr) == (2, True)
