"""Texts can be taken out of a log without breaking its chain; nothing else can be changed in it."""

import hashlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.case.redaction import GONE, digest, legible, line_of, redacted

ENTRY = {
    "action": "search",
    "entry": 7,
    "before": "0" * 64,
    "subject": {
        "query": "file:/evidence/Zo\u00eb \udce9.jpg",
        "query_sha256": "ab" * 32,
        "others": ["holiday one", "x"],
    },
    "arguments": {"k": 10, "note": "a longer note"},
}
_TEXTS = st.recursive(
    st.text(st.characters(), max_size=20) | st.integers() | st.none() | st.integers(-999, 999).map(lambda n: n / 8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)


def everything(entry, way, text):
    return True


@example({"#": {"#": None}, "a": {"#": "a text of its own"}})
@given(st.dictionaries(st.text(max_size=9), _TEXTS, max_size=3))
def test_whatever_is_redacted_line_and_chain_keep_their_length_and_digest(subject):
    line = line_of({"action": "show", "entry": 1, "before": "0" * 64, "subject": subject})
    less = redacted(line, everything)
    assert (digest(less), len(less)) == (digest(line), len(line))
    assert legible(line)["subject"] == json.loads(json.dumps(subject))
    assert redacted(less, everything) == less


def test_what_is_redacted_is_gone_and_the_rest_stands():
    line = line_of(ENTRY)
    less = redacted(line, lambda entry, way, text: way == "subject/query" or "holiday" in text)
    assert b"evidence" not in less
    assert b"holiday" not in less
    read = legible(less)
    assert read["subject"] == {"query": GONE, "query_sha256": "ab" * 32, "others": [GONE, "x"]}
    assert read["arguments"] == ENTRY["arguments"]
    assert digest(redacted(less, everything)) == digest(line), "in several steps too"


def test_two_equal_names_do_not_look_alike_once_they_are_redacted():
    """Else whoever knows a name would find it by its hash."""
    first, second = (json.loads(redacted(line_of(ENTRY), everything)) for _ in range(2))
    assert first["subject"]["query"] != second["subject"]["query"]
    assert hashlib.sha256(ENTRY["subject"]["query"].encode("utf-8", "surrogatepass")).hexdigest() not in str(first)


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b"longer", b"LONGER"),
        lambda line: line.replace(b'"k": 10', b'"k": 11'),
        lambda line: line.replace(b'"k": 10', b'"k":  10'),
        lambda line: line.replace(b'"k": 10', b'"k": 9, "k": 10'),
        lambda line: line.replace(b'"entry": 7', b'"entry": 8'),
        lambda line: line.replace(b'"salts"', b'"salt_"'),
        lambda line: line.replace(b'"subject/query"', b'"subject/query_sha256"'),
        lambda line: line[:-1] + b"  {}\n",
    ],
)
def test_any_other_change_shows(change):
    line = line_of(ENTRY)
    for before in (line, redacted(line, lambda entry, way, text: "holiday" in text)):
        assert change(before) != before
        assert digest(change(before)) != digest(line)


def test_a_line_without_salts_is_what_it_was():
    line = b'{"entry": 1, "before": "0", "action": "status"}\n'
    assert digest(line) == hashlib.sha256(line).hexdigest()
    assert redacted(line, everything) == line
