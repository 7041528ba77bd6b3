"""JSON and CSV that others give: what no program writes is refused before a parser sees it."""

import csv
import io
import json
import random
import tracemalloc

import pytest

from imgmatch import given

RIGHT = {
    "a": [1, -2.5e-3, 'x\\"y', "\u00e9", [], {}, None, True],
    "b": {"c": {"d": ["e" * 7_000]}},
    'escaped " name': "ends in a backslash \\",
    "n": 12345678901234567890,
}


def fed(text, sizes):
    guard, at = given.Guard(), 0
    while at < len(text):
        size = next(sizes)
        guard.feed(text[at : at + size])
        at += size
    return guard


@pytest.mark.parametrize("ascii", [True, False])
def test_what_is_right_passes_in_pieces_of_any_size(ascii):
    text = json.dumps([RIGHT] * 3, ensure_ascii=ascii).encode()
    assert given.loads(text) == [RIGHT] * 3
    chance = random.Random(1)
    whole = fed(text, iter([len(text)])).values
    for size in (1, 2, 7, 1000):
        assert fed(text, iter(lambda size=size: size, None)).values == whole
    for _ in range(20):
        assert fed(text, iter(lambda: chance.randint(1, 200), None)).values == whole


WRONG = {
    "deep": b'{"a":' * 33,
    "deep lists": b"[" * 100_000,
    "digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "fraction": b"[0." + b"1" * 5_000 + b"]",
    "exponent": b"[1e999]",
    "name": b'{"' + b"k" * 100_000 + b'" : 1}',
    "text": b'["' + b"t" * (17 << 20) + b'"]',
    "values": b"[" + b"[]," * 500_000 + b"1]",
}


@pytest.mark.claim("X4")
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("size", [7, 1 << 16])
def test_what_no_program_writes_is_refused_in_little_memory(name, size):
    if size == 7 and len(WRONG[name]) > 1 << 18:
        pytest.skip("takes long in such pieces")
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"than|digits"):
        fed(WRONG[name], iter(lambda: size, None))
    if size == 1 << 16:
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b"[1] 2", b'"a', b"\xff", b'{"a": Infinity}'])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011
        given.loads(text)


def test_texts_that_look_like_marks_are_none():
    text = json.dumps(["[" * 50_000, '\\"[' * 20_000, "9" * 50_000, "\\" * 3_001]).encode()
    for size in (1, 1000, 1 << 20):
        assert fed(text, iter(lambda size=size: size, None)).values == 5


def test_many_quotes_cost_no_more_than_their_length():
    guard = given.Guard()
    for _ in range(50):  # each opens and closes a text of escaped quotes
        guard.feed(b'","' + b'\\"' * 30_000)


def test_rows_are_those_of_csv():
    text = 'a,b\n1,"x\ny"\n\n"q""q",\n'
    rows = given.Rows(io.StringIO(text))
    assert list(rows) == list(csv.reader(io.StringIO(text)))
    assert rows.line_num == 5


@pytest.mark.parametrize("bad", ["x" * (3 << 20), '"' + "x\n" * (3 << 19), '"x\n",' * 400_000])
def test_a_row_that_is_too_long_is_an_error_and_the_next_one_is_read(bad):
    rows = given.Rows(io.StringIO(f"a,b\n{bad}\nlast,1\n"))
    assert next(rows) == ["a", "b"]
    with pytest.raises(csv.Error):
        next(rows)
    assert ["last", "1"] in list(_going_on(rows)) or bad.startswith('"x')  # where in quotes it stands, nobody knows


def _going_on(rows):
    while True:
        try:
            yield next(rows)
        except csv.Error:
            continue
        except StopIteration:
            return
