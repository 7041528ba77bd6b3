"""The audit log as sentences: every action has one, and whatever an entry holds, one comes out."""

import re

import pytest

from cli.render.trail import _SENTENCES, sentence
from tests.conftest import ROOT


def documented():
    text = (ROOT / "docs" / "audit.md").read_text().partition("## Actions")[2].partition("\n## ")[0]
    cells = [cell for line in text.splitlines() if line.startswith("| `") for cell in line.split("|")[1:3]]
    return {name for cell in cells for name in cell.split("`")[1::2]}


def test_every_action_has_a_sentence():
    assert documented() <= set(_SENTENCES)


@pytest.mark.parametrize("action", sorted(_SENTENCES))
def test_a_sentence_stands_without_its_values(action):
    said = sentence({"action": action, "actor": "anna (uid 1000)", "arguments": {}, "subject": {}, "counts": {}})
    assert said.startswith("anna (uid 1000) ")
    assert not re.search(r"[{}\[\]]|None", said)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {
                "action": "decide",
                "verdict": "withdrawn",
                "arguments": {"item": "5", "query": "0a" * 32, "examiner": "Ada"},
            },
            "Ada (anna) took back what was said of item 5 and 0a0a0a0a0a0a….",
        ),
        (
            {
                "action": "decide",
                "verdict": "possible",
                "arguments": {"item": "5", "query": "q.jpg", "note": "a {lamp} [x]"},
            },
            "anna called item 5 a possible match of q.jpg: a {lamp} [x].",
        ),
        (
            {"action": "search", "subject": {"query": "file:/q.jpg"}, "counts": {"matches": 1200}},
            "anna searched with /q.jpg, 1,200 matches.",
        ),
        (
            {"action": "delete", "arguments": {"reason": "court order 12"}},
            "anna took evidence out of the case, court order 12.",
        ),
        ({"action": "{0.__class__}["}, "anna did “{0.__class__}[”."),
        ({"action": "search", "arguments": "odd", "subject": None}, "anna searched with ."),
    ],
)
def test_what_an_entry_says(entry, said):
    assert sentence({"actor": "anna", **entry}) == said


def test_what_is_no_entry_has_a_sentence_too():
    assert sentence({}) == "somebody did “”."
