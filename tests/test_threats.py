"""Every promise in docs/threats.md has a number and names a test that bears it."""

import ast
import re

from tests.conftest import ROOT


def promises():
    """Number and row of every promise."""
    text = (ROOT / "docs" / "threats.md").read_text()
    for line in text.splitlines():
        if "`tests/" in line:
            number = re.match(r"\| ([A-Z]\d+) \| ", line)
            assert number, f"no number: {line}"
            yield number[1], line


def claimed():
    """The numbers that tests bear, by file and name."""
    found = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        if "mark.claim" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            for mark in getattr(node, "decorator_list", ()):
                if ast.unparse(mark).startswith("pytest.mark.claim("):
                    found[path.relative_to(ROOT).as_posix(), node.name] = [one.value for one in mark.args]
    return found


def test_each_promise_names_tests_that_bear_its_number():
    rows = list(promises())
    assert len(rows) > 120
    borne = claimed()
    for number, row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, f"no test: {row}"
        for place in named:
            assert number in borne.get(place, ()), f"{'::'.join(place)} does not bear {number}"
    numbers = {number for of in borne.values() for number in of}
    assert numbers == {number for number, _ in rows}, "a test bears a number that stands in no row"


def test_promises_are_numbered_section_by_section():
    of = {}
    for number, _ in promises():
        of.setdefault(number[0], []).append(int(number[1:]))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in of.values())


def test_each_who_of_the_model_points_at_promises():
    """The table of who wants what names sections by their letters, and each letter has promises."""
    text = (ROOT / "docs" / "threats.md").read_text()
    table = text.partition("## Who, against what")[2].partition("\n## ")[0]
    who = [row for row in table.splitlines() if row.startswith("| **")]
    assert len(who) == 7
    titles = {
        re.sub(r"[^\w -]", "", line[3:]).strip().lower().replace(" ", "-")
        for line in text.splitlines()
        if line[:3] == "## "
    }
    letters = {number[0] for number, _ in promises()}
    for row in who:
        links = re.findall(r"\[([A-Z])\]\(#([\w-]+)\)", row)
        assert links, row
        assert {letter for letter, _ in links} <= letters
        assert {title for _, title in links} <= titles
        assert row.count("|") == 5


def test_the_readme_promises_nothing_but_what_is_listed():
    holds = (ROOT / "README.md").read_text().split("## What it does with your material")[1].split("\n## ")[0]
    assert "[threats](docs/threats.md)" in holds
