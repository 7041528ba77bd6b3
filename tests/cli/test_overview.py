"""What is tied to what in one case or several, as a coordinator asks for it: the page, the table, JSON and CSV."""

import csv
import io
import json
import re

import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.app import app
from tests.conftest import encode, snapshot, textured


def ask(*words, code=0):
    """A command, in this process; of an overview only copies count, as all drawn pictures are somewhat alike."""
    if words[0] in ("overview", "ingest"):
        words = (*words, "--no-isolation", *(("--least", "0.85") if words[0] == "overview" else ()))
    done = CliRunner().invoke(app, [str(word) for word in words])
    if code == 0:
        assert done.exit_code == 0, (done.output, done.exception)
    return done


def taken(seed, serial="", day="", size=(320, 240), quality=95):
    """A picture as a telephone writes it."""
    exif = Image.Exif()
    if serial:
        exif[0x010F], exif[0x0110] = "Acme", "Acme One"
        exif.get_ifd(0x8769)[0xA431] = serial
    if day:
        exif.get_ifd(0x8769)[0x9003] = f"{day.replace('-', ':')} 10:00:00"
    return encode(textured(seed).resize(size), "JPEG", quality=quality, exif=exif)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Case ``hotels`` has rooms of hotels by their labels, ``web`` advertisements by a manifest, ``plain`` neither."""
    folder = tmp_path_factory.mktemp("overview")
    for name in ("in", "ads", "loose"):
        (folder / name).mkdir()
    for seed in range(4):
        (folder / "in" / f"room{seed}.jpg").write_bytes(taken(seed, f"SN{seed % 2}", f"2019-0{seed + 1}-05"))
    (folder / "labels.csv").write_text(
        "file,label,city\n" + "".join(f"in/room{n}.jpg,Hotel {'AABB'[n]},Ghent\n" for n in range(4))
    )
    # Room 0 in two advertisements of one number that is written in two ways, room 2 byte for byte, and another picture.
    (folder / "ads" / "a.jpg").write_bytes(taken(0, quality=60))
    (folder / "ads" / "b.jpg").write_bytes(taken(0, size=(240, 180), quality=80))
    (folder / "ads" / "c.jpg").write_bytes((folder / "in" / "room2.jpg").read_bytes())
    (folder / "ads" / "d.jpg").write_bytes(taken(9))
    (folder / "ads.csv").write_text(
        "path,ad_id,phone,user,posted,price\n"
        "ads/a.jpg,A-1,+49 30 1234567,rosa,2021-03-04,100\n"
        "ads/b.jpg,A-2,0049 (30) 123-4567,Rosa ,2021-04-01,90\n"
        "ads/c.jpg,A-3,030/7654321,<b>mia</b>,2021-05-01,90\n"
        "ads/d.jpg,A-4,+49 40 999999,otto,2021-05-01,90\n"
    )
    (folder / "loose" / "x.jpg").write_bytes(taken(1, quality=70))
    for name in ("hotels", "web", "plain"):
        ask("init", folder / name, "--examiner", "Ada")
    ask("ingest", folder / "hotels", folder / "in", "--labels", folder / "labels.csv")
    ask("ingest", folder / "web", "--manifest", folder / "ads.csv")
    ask("ingest", folder / "plain", folder / "in", folder / "loose")
    return folder


def overview(folder, tmp_path, *cases, options=()):
    target = tmp_path / "o.json"
    target.unlink(missing_ok=True)
    ask("overview", *(folder / case for case in cases), "-o", target, *options)
    return json.loads(target.read_text())


def ties(whole):
    """Ties by their two ends' names."""
    return {frozenset((tie["name"], tie["other_name"])): tie for tie in whole["ties"]}


def sha_of(case, item):
    return json.loads(ask("show", case, item, "--format", "json").stdout)["sha256"]


def test_a_match_ties_what_its_two_pictures_stand_for(folder, tmp_path):
    whole = overview(folder, tmp_path, "hotels", "web")
    found = ties(whole)
    number = found[frozenset(("Hotel A", "+49 30 1234567"))]
    assert (number["kind"], number["other_kind"]) == ("place", "telephone")
    assert number["matches"] == 2
    for pair in number["pairs"]:
        assert pair["strength"].startswith("geometry agrees")
        assert pair["picture"]["place"].endswith("room0.jpg")
        assert {pair["picture"]["case"], pair["other"]["case"]} == {"hotels", "web"}
        assert re.fullmatch("[0-9a-f]{64}", pair["other"]["sha256"])
    assert (number["first"], number["last"]) == ("2019-01-05", "2021-04-01")
    assert found[frozenset(("Hotel B", "030/7654321"))]["strength"] == "identical file"
    assert found[frozenset(("Acme One, serial SN0", "A-1"))]["kind"] == "advertisement"
    assert found[frozenset(("A-1", "A-2"))]["matches"] == 1  # within one case
    together = found[frozenset(("A-1", "Rosa"))]
    assert (together["pictures_of_both"], together["matches"]) == (1, 0)
    assert not any("otto" in ends and tie["matches"] for ends, tie in found.items())
    assert not any("Hotel A" in ends and "Hotel B" in ends for ends in found)
    (number,) = [one for one in whole["entities"] if one["name"] == "+49 30 1234567"]
    assert (number["pictures"], number["also_written"]) == (2, ["0049 (30) 123-4567"])
    assert "city, price" in " ".join(whole["left_out"])


def test_decisions_count_those_of_the_other_case_too(folder, tmp_path):
    cases = {name: tmp_path / name for name in ("hotels", "web")}
    for name, case in cases.items():
        ask("init", case, "--examiner", "Ada")
        given = ("--manifest", folder / "ads.csv") if name == "web" else (folder / "in", "--labels")
        ask("ingest", case, *given, *([folder / "labels.csv"] if name == "hotels" else []))
    room0, other = sha_of(cases["hotels"], 1), sha_of(cases["web"], 4)
    ask("decide", cases["web"], room0, 1, "rejected")
    ask("decide", cases["web"], room0, 2, "rejected")
    ask("decide", cases["hotels"], other, 4, "confirmed", "--note", "the same lamp")
    whole = overview(tmp_path, tmp_path, "hotels", "web")
    found = ties(whole)
    assert frozenset(("Hotel A", "+49 30 1234567")) not in found
    assert {"2 matches rejected by an examiner"} <= set(whole["left_out"])
    assert any(line.endswith("ties gone with them") for line in whole["left_out"])
    # Not alike at all, yet an examiner stands by it: there, and before all others.
    first = whole["ties"][0]
    assert (first["level"], first["confirmed"]) == ("confirmed", 1)
    assert "the same lamp" in first["pairs"][0]["decided"]
    page = tmp_path / "o.html"
    ask("overview", cases["hotels"], cases["web"], "-o", page)
    assert page.read_text().count('class="tie confirmed') > 1
    ask("decide", cases["web"], room0, 1, "--undo")
    assert frozenset(("Hotel A", "A-1")) in ties(overview(tmp_path, tmp_path, "hotels", "web"))


def test_the_page_stands_alone_and_shows_no_picture_unless_asked(folder, tmp_path):
    page = tmp_path / "o.html"
    ask("overview", folder / "hotels", folder / "web", "-o", page)
    text = page.read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"<script|<img|javascript:|\son\w+=|https?://", text)
    assert "No score is a verdict" in text
    assert "<b>mia" not in text
    assert "&lt;b&gt;mia" in text
    links = set(re.findall(r'href="#(\w+)"', text))
    assert links
    assert links <= set(re.findall(r'id="(\w+)"', text))
    drawn = re.findall(r'<a href="#t(\d+)"><title>', text)
    assert len(drawn) == len(ties(overview(folder, tmp_path, "hotels", "web")))
    again = tmp_path / "again.html"
    ask("overview", folder / "hotels", folder / "web", "-o", again, "--thumbnails")
    assert "<img" in again.read_text()
    svg = [re.findall(r"<svg.*?</svg>", one, re.DOTALL) for one in (text, again.read_text())]
    assert svg[0] == svg[1]
    assert ask("overview", folder / "hotels", "-o", page, code=2).exit_code != 0  # nothing is overwritten


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_pages_to_hand_on_fit_a_phone(folder, tmp_path, language):
    """Nothing is wider than the screen but what scrolls by itself, and in the summary each word has its heading."""
    browser = pytest.importorskip("tests.cli.browser", reason="playwright is not installed: pip install playwright")
    if browser.CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    overview, sheet = tmp_path / "o.html", tmp_path / "s.html"
    ask("overview", folder / "hotels", folder / "web", "-o", overview, "--language", language)
    ask(
        "search",
        folder / "hotels",
        folder / "ads" / "a.jpg",
        "--report",
        sheet,
        "--language",
        language,
        "--no-isolation",
    )
    with browser.sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser.CHROMIUM, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": 390, "height": 844})
        for file in (overview, sheet):
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), file.name
        headings = page.locator(".summary .head")
        assert headings.count() == 4
        assert all(heading.is_visible() for heading in headings.all())
        page.set_viewport_size({"width": 1280, "height": 900})
        assert not headings.first.is_visible(), "beside the table's own heading"
        opened.close()


def test_a_case_without_labels_is_put_together_by_groups(folder, tmp_path):
    whole = overview(folder, tmp_path, "plain")
    (group,) = whole["groups"]
    assert {group["pairs"][0][side]["place"].rpartition("/")[2] for side in ("picture", "other")} == {
        "room1.jpg",
        "x.jpg",
    }
    found = ties(whole)
    assert found[frozenset((str(folder / "in"), str(folder / "loose")))]["matches"] == 1
    assert found[frozenset((group["name"], str(folder / "loose")))]["pictures_of_both"] == 1
    page = tmp_path / "o.html"
    ask("overview", folder / "plain", "-o", page)
    assert "Group 1: 2 pictures" in page.read_text()


def test_csv_has_a_row_for_all_that_a_tie_rests_on(folder, tmp_path):
    target = tmp_path / "o.csv"
    ask("overview", folder / "hotels", folder / "web", "-o", target)
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    whole = overview(folder, tmp_path, "hotels", "web")
    assert len(rows) == sum(len(tie["pairs"]) + len(tie["pictures"]) for tie in whole["ties"])
    assert {row["ground"] for row in rows} == {"match", "said of one picture"}
    assert all(row["place"] and row["sha256"] for row in rows)


def test_what_is_capped_is_named(folder, tmp_path):
    whole = overview(folder, tmp_path, "hotels", "web", options=["--top", "1"])
    assert len({pair["other"]["sha256"] for tie in whole["ties"] for pair in tie["pairs"]}) == 1
    assert any("further apart than those looked at" in line for line in whole["left_out"])


def test_columns_are_chosen_and_one_that_is_nowhere_is_an_error(folder, tmp_path):
    whole = overview(folder, tmp_path, "hotels", "web", options=["--column", "city", "--column", "price"])
    assert {"Ghent", "90"} < {name for ends in ties(whole) for name in ends}
    done = ask("overview", folder / "hotels", "--column", "ctiy", code=2)
    assert "did you mean 'city'" in str(done.exception)


def test_a_pack_ties_too_and_one_case_twice_does_not(folder, tmp_path):
    pack = tmp_path / "web.pack"
    ask("export", folder / "web", "--format", "pack", "--labels", "-o", pack)
    before = {path: path.read_bytes() for path in folder.joinpath("web").iterdir() if path.is_file()}
    target = tmp_path / "o.json"
    ask("overview", folder / "hotels", pack, "--no-verify", "-o", target)
    found = ties(json.loads(target.read_text()))
    assert found[frozenset(("Hotel B", "A-3"))]["strength"] == "identical file"
    done = ask("overview", folder / "hotels", folder / "hotels", code=2)
    assert "is the same case" in str(done.exception)
    assert before == {path: path.read_bytes() for path in before}


def test_a_case_that_is_only_read_has_rates_too_without_being_written(tmp_path):
    """So many pictures that rates are stated, and nobody calibrated either case before."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        rows = ["path,phone"]
        for number in range(55):
            seed = number if number < 3 or name == "one" else 100 + number
            (tmp_path / name / f"{number}.jpg").write_bytes(
                taken(seed, size=(96, 72), quality=95 if name == "one" else 60)
            )
            rows.append(f"{name}/{number}.jpg,+49 30 {name == 'one':d}{number:05}")
        (tmp_path / f"{name}.csv").write_text("\n".join(rows))
        ask("init", tmp_path / f"{name}-case")
        ask("ingest", tmp_path / f"{name}-case", tmp_path / name, "--manifest", tmp_path / f"{name}.csv")
    before = snapshot(tmp_path / "other-case")
    target = tmp_path / "told.json"
    ask("overview", tmp_path / "one-case", tmp_path / "other-case", "--no-verify", "-o", target)
    told = json.loads(target.read_text())
    pairs = [pair for tie in told["ties"] for pair in tie["pairs"]]
    assert any(pair["picture"]["case"] != pair["other"]["case"] for pair in pairs)
    assert all(pair["by_chance"] for pair in pairs)
    assert snapshot(tmp_path / "other-case") == before
