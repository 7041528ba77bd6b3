"""The words of the pages: every one is translated, values and tags are kept, and English is as it would be without."""

import re

import pytest
from jinja2 import Environment
from markupsafe import Markup

from imgmatch import language
from imgmatch.errors import UsageError
from imgmatch.match import rooms, verify
from imgmatch.match.strength import Level, Strength, answer
from imgmatch.templating import Translated, _rewritten, messages
from tests.conftest import ROOT

OTHERS = [name for name in language.LANGUAGES if name != language.ENGLISH]


@pytest.fixture(autouse=True)
def english_again(monkeypatch):
    monkeypatch.delenv(language.VARIABLE, raising=False)
    yield
    language.choose("en")


@pytest.fixture(scope="module")
def words():
    pytest.importorskip("babel", reason="Babel is not installed: pip install babel")
    from tools import words

    return words


@pytest.mark.parametrize("name", OTHERS)
def test_every_message_is_translated_with_its_values_and_tags(words, name):
    assert len(words.said()) > 500
    assert words.faults(name) == []


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_shipped_is_what_was_written(words, name):
    assert (words.FOLDER / f"{name}.mo").read_bytes() == words.compiled(name), "run: python tools/words.py"


@pytest.mark.parametrize("name", OTHERS)
def test_hardly_anything_is_left_in_english(words, name):
    same = [m.id for m in words.catalogue(name) if m.id and m.id == m.string and len(m.id.split()) > 2]
    assert len(same) < 15, same


def test_no_translation_ends_an_attribute(words):
    for name in OTHERS:
        for message in words.catalogue(name):
            if message.id and '"' not in message.id:
                assert '"' not in message.string, message.string
                assert "<" in message.id or "<" not in message.string


def rendered(source, **values):
    made = Environment(autoescape=True, extensions=[Translated])
    made.filters["plain"] = str
    return made.from_string(made.preprocess(source, "x.html.j2")).render(values)


def test_a_template_says_the_same_in_english_as_without():
    """Each template of the product: what is marked and put together again is what stood there."""
    files = [
        file
        for folder in (ROOT / "cli" / "review" / "templates", ROOT / "indexer" / "out" / "report" / "templates")
        for file in folder.rglob("*.html.j2")
    ]
    assert len(files) > 25

    def put_back(message, values):
        return message.format(*(f"{{{{{value}}}}}" for value in values))

    for file in files:
        assert "".join(_rewritten(file.read_text(), put_back)) == file.read_text(), file.name


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Two words</p>", ["Two words"]),
        ('<a href="{{ x }}"{% if y %} class="on"{% endif %}>Back</a>', ["Back"]),
        ("<p>Hold <kbd>s</kbd>, {{ n }} times.</p>", ["Hold <kbd>s</kbd>, {0} times."]),
        ("<p><strong>All of it.</strong></p>", ["All of it."]),
        ("<p>{% if y %}one{% else %}many{% endif %}</p>", ["one", "many"]),
        ('<i title="Say {{ n }}" class="no words">{{ n }}</i>', ["Say {0}"]),
        ("<style>.a { color: red }</style><!-- no --><br>", []),
        ('{{ x or _("none at all") }}', ["none at all"]),
        ('<input placeholder="{{ n }} px">x', ["{0} px"]),
    ],
)
def test_messages_are_what_a_reader_reads(source, found):
    assert messages(source) == found


def test_values_are_escaped_and_the_words_are_not():
    language.choose("de")
    shown = rendered("<p>Hold <kbd>s</kbd> {{ x }}</p><b title='{{ x }}'>No match</b>", x="<script>&\"'{0}")
    assert "<script>" not in shown
    assert "<kbd>s</kbd>" in shown
    assert "Kein Treffer" in shown
    assert "{0}" in shown


def test_what_the_engine_says_is_translated_by_its_shape():
    language.choose("fr")
    for said in (
        Strength(Level.IDENTICAL), Strength(Level.GEOMETRY, 1234), Strength(Level.ALIKE, 9), Strength(Level.ALIKE),
        Strength(Level.ALIKE, asked=False), Strength(Level.NOTHING), answer([]),
    ):  # fmt: skip
        assert language.phrase(str(said)) != str(said)
    assert "1\u202f234" in language.phrase(str(Strength(Level.GEOMETRY, 1234)))
    both = language.phrase("verified: 16 points agree as one plane, mirrored; camera X")
    assert both == "vérifié\u00a0: 16 points s'accordent comme un plan, en miroir\u00a0; camera X"
    language.choose("en")
    assert language.phrase("verified: 16 points agree as one plane") == "verified: 16 points agree as one plane"


@pytest.mark.parametrize(
    ("name", "one", "more"),
    [
        ("en", "only 1 point agrees", "only 2 points agree"),
        ("de", "nur 1 Punkt stimmt überein", "nur 2 Punkte stimmen überein"),
        ("es", "solo coincide 1 punto", "solo coinciden 2 puntos"),
        ("fr", "seul 1 point s'accorde", "seuls 2 points s'accordent"),
    ],
)
def test_one_is_one_and_more_are_more_in_each_language(name, one, more):
    language.choose(name)
    for number, expected in ((1, one), (2, more)):
        assert language.phrase(str(Strength(Level.ALIKE, number))).endswith(expected)


@pytest.mark.parametrize("name", OTHERS)
def test_every_reason_that_geometry_and_rooms_give_is_translated(name):
    """Each sentence that stands in their code, whatever its numbers: a new one needs its phrase."""
    code = "".join((ROOT / "imgmatch" / "match" / f"{module}.py").read_text() for module in ("verify", "learned"))
    faults = re.findall(r'return f?"((?:the |of |only )[^"]*)"', code)
    given = [f"not verified: {re.sub(r'{[^}]*}', '7', fault)}" for fault in (*faults, *verify._SHARED)]
    given += [rooms._ROOM_WORDS, rooms._DESIGN_WORDS, rooms._HOTEL_WORDS]
    assert len(given) > 12
    language.choose(name)
    known = [pattern for pattern, _ in language._phrases(name)]
    for text in given:
        text = text.replace("7 point7", "7 points agree")
        assert language.say(text) != text or any(pattern.fullmatch(text) for pattern in known), text
        assert language.phrase(text) != text


def test_what_a_template_counts_stands_in_the_number_of_its_value():
    source = "<p>{{ a }} [0 picture|pictures] at {{ b }} [1 place|places]</p>"
    assert rendered(source, a=1, b="1,000") == "<p>1 picture at 1,000 places</p>"
    language.choose("fr")
    assert rendered(source, a="0", b=1) == "<p>0 image à 1 endroit</p>"


def test_no_message_counts_without_its_number(words):
    """A number before a noun brings a choice of words, but where it is more than one, or no number."""
    nouns = "pictures|pairs|places|items|matches|leads|groups|labels|faces|faults|fields|ties|points of|points agree"
    found = {message for message in words.said() if re.search(rf"{{\d}} (?:\w+ )?(?:{nouns})\b", message)}
    assert found == {
        ", {0} places",
        "· {0} places",
        "Group {0}: {1} pictures",
        "; only the first {0} groups were taken, raise the least similarity",
        "{0} items {1}",
        "{0} pictures are searched together, as one room or thing: whole, without boxes.",
        ". <small>Background: {0} pictures, {1} pairs, {2}</small>",
        "{0} pairs of {1} unrelated pictures of {2}, {3}",
        "not verified: {0} pairs of points share no geometry",
        "verified: {0} points agree as {1}",
        "{0} unrelated pairs score this high",
        "{0} unrelated pairs of pictures score this high",
    }


def test_which_language_is_a_choice(monkeypatch):
    language.choose(None)
    assert language.current() == "en"
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    language.choose(None)
    assert language.current() == "en"
    language.choose("auto")
    assert language.current() == "es"
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    language.choose("auto")
    assert language.current() == "en"
    monkeypatch.setenv(language.VARIABLE, "de")
    language.choose(None)
    assert language.say("No match") == "Kein Treffer"
    language.choose("fr-CA")
    assert Markup(language.say("No match")) == "Aucun résultat"
    with pytest.raises(UsageError, match="there are: auto, en, de"):
        language.choose("tlh")


@pytest.mark.parametrize("name", OTHERS)
def test_thousands_are_no_decimals_in_another_language(name):
    """2,430 pairs would be read as not quite two and a half; what is no such number stays as it is."""
    source = "<p>{{ count }} weaker [0 tie is|ties are] not listed here; JSON and CSV have them.</p>"
    assert "2,430 weaker ties" in rendered(source, count="2,430")
    language.choose(name)
    assert "2\u202f430 " in rendered(source, count="2,430")
    assert "2\u202f430\u202f000 " in rendered(source, count="2,430,000")
    for other in ("24,30", "2,43", "IMG 2,430", "0.6927", 2430):
        assert str(other) in rendered(source, count=other)
    background = language.phrase("2,430 pairs of 53 unrelated pictures of this case, 2026-11-30")
    assert background.startswith("2\u202f430 pa") or background.startswith("2\u202f430 Pa")
    assert language.phrase("2,430") == "2\u202f430"


@pytest.mark.parametrize("name", OTHERS)
def test_decimals_and_per_cent_are_as_the_language_writes_them(name):
    language.choose(name)
    assert language.decimal(0.5232, 3) == "0,523"
    assert language.size("1,023.9 KiB").startswith("1\u202f023,9 ")
    assert "0,88 " in language.phrase("0.88 such false matches expected here")
    assert "35\u00a0% " in language.filled("{0} of the query left out", "35%")
    assert language.phrase("confirmed by 0.1.0, 2026-01-02").endswith("0.1.0, 2026-01-02")
    language.choose("en")
    assert language.decimal(0.5232, 3) == "0.523"
    assert language.size("26.5 KiB") == "26.5 KiB"
    assert language.phrase("0.88 such false matches expected here") == "0.88 such false matches expected here"


def test_french_has_a_space_that_does_not_break_before_its_signs(words):
    language.choose("fr")
    assert language.spaced(":") == "\u00a0: "
    assert "\u00a0; " in language.phrase("identical content (SHA-256); the query itself")
    said = [message.string for message in words.catalogue("fr") if message.id]
    assert [text for text in said if re.search(r"(?:^|[^\u00a0])[;:?!»](?:\s|$)", text)] == []


def test_what_is_made_plain_is_translated_after_it():
    """The other way round the spaces that don't break would be written out, as what hides in a name is."""
    folders = (ROOT / "cli", ROOT / "indexer")
    found = [
        file for folder in folders for file in folder.rglob("*.j2") if re.search(r"told \| plain", file.read_text())
    ]
    assert found == []
