"""Words of HTML templates, marked as they are loaded: no template needs a mark, so none can be forgotten.

What stands between two tags of a page, or in an attribute that is read (``title``, ``alt``, ``aria-label``,
``placeholder``), is one message. Tags within a sentence stay in it; ``{{ ... }}`` become ``{0}``, ``{1}``, ... in it;
``[0 picture|pictures]`` is the one or the other by the first of them (``language.counted``). Words inside an
expression are marked by hand: ``_("...")``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from jinja2 import nodes
from jinja2.ext import Extension
from markupsafe import Markup

from imgmatch import language

if TYPE_CHECKING:
    from jinja2 import Environment

_INLINE = "a|b|code|em|i|kbd|small|strong"
_HOLE = r"{{(?:(?!}}).)*}}"
_PART = re.compile(
    r"(?P<skip><style\b.*?</style>|<!--.*?-->|<!DOCTYPE[^>]*>|{%(?:(?!%}).)*%}|{\#.*?\#})"
    rf"|(?P<inline></?(?:{_INLINE})\b(?:{_HOLE}|[^<>{{])*>)"
    rf"|(?P<tag></?[a-zA-Z](?:{_HOLE}|{{%(?:(?!%}}).)*%}}|\"(?:{_HOLE}|{{%(?:(?!%}}).)*%}}|[^\"])*\"|[^<>\"])*>)"
    rf"|(?P<value>{_HOLE})|(?P<text>[^<{{]+|[<{{])",
    re.DOTALL,
)
_SAID = re.compile(
    rf"(?P<before>\s(?:title|alt|aria-label|placeholder)=\")(?P<text>(?:{_HOLE}|[^\"{{])*)(?=\")", re.DOTALL
)
_VALUE = re.compile(r"{{((?:(?!}}).)*)}}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]{2}")
_BARE = re.compile(rf"<(?:{_HOLE}|[^>])*>|{_HOLE}|&\w+;", re.DOTALL)
_FIRST = re.compile(rf"<(/?)({_INLINE})\b(?:{_HOLE}|[^<>{{])*>", re.DOTALL)
_LAST = re.compile(rf"<(/?)({_INLINE})\b(?:{_HOLE}|[^<>{{])*>\Z", re.DOTALL)
_SCRIPTED = re.compile(r"\bt\(\"((?:[^\"\\]|\\.)*)\"")
_BY_HAND = re.compile(r"\b_\((['\"])(.*?)\1[,)]")


class Translated(Extension):
    """Puts the words of a page into the language that is chosen."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals.update({"_": say, "language": language.current, "spaced": language.spaced})
        environment.filters["told"] = lambda text: language.phrase(str(text))
        environment.filters["decimal"] = language.decimal
        environment.filters["begun"] = lambda text: text[:1].upper() + text[1:]  # nouns within keep their capitals

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source with its messages as calls."""
        return marked(source) if name is not None and ".html" in name else source

    def parse(self, parser: Any) -> nodes.Node:  # pragma: no cover - no tag of its own
        """Nothing: there is no tag of its own."""
        raise NotImplementedError


def say(message: str, *values: Any) -> Markup:
    """A message of a template in the language that is chosen, its values escaped."""
    return Markup(language.counted(language.say(message), values)).format(*map(language.shown, values))


def marked(source: str) -> str:
    """A template in which each message is a call of ``_``."""
    return "".join(_rewritten(source, _call))


def messages(source: str) -> list[str]:
    """The messages of a template, in their order, those that are marked by hand with them."""
    found: list[str] = []

    def collect(message: str, values: list[str]) -> str:
        found.append(message)
        return _call(message, values)

    for _ in _rewritten(source, collect):
        pass
    return list(dict.fromkeys([*found, *(by_hand[2] for by_hand in _BY_HAND.finditer(source))]))


def script_messages(source: str) -> list[str]:
    """The messages of a script, in their order: what it says by ``t("...")``."""
    return list(dict.fromkeys(found[1] for found in _SCRIPTED.finditer(source)))


def _call(message: str, values: list[str]) -> str:
    quoted = message.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{{{ _("{quoted}"{"".join(f", ({value.strip()})" for value in values)}) }}}}'


def _rewritten(source: str, put: Callable[[str, list[str]], str]) -> Iterator[str]:
    run = ""
    for part in _PART.finditer(source):
        if part.lastgroup in ("text", "value", "inline"):
            run += part.group()
            continue
        yield from _message(run, put)
        run = ""
        yield _attributes(part.group(), put) if part["tag"] else part.group()
    yield from _message(run, put)


def _attributes(text: str, put: Callable[[str, list[str]], str]) -> str:
    """Tags, the attributes of which that are read are messages."""
    return _SAID.sub(lambda said: said["before"] + "".join(_message(said["text"], put)), text)


def _message(run: str, put: Callable[[str, list[str]], str]) -> Iterator[str]:
    """A run of text, inline tags and values, as a message where it holds a word."""
    if not _WORD.search(_BARE.sub(" ", run)):
        yield _attributes(run, put) if "<" in run else run
        return
    before, text, after = _peeled(run)
    values = _VALUE.findall(text)
    numbers = iter(range(len(values)))
    message = _VALUE.sub(lambda _: f"\0{next(numbers)}\1", text).replace("{", "{{").replace("}", "}}")
    said = put(message.replace("\0", "{").replace("\1", "}"), values)
    yield _attributes(before, put) + said + _attributes(after, put)


def _peeled(run: str) -> tuple[str, str, str]:
    """A run without the white space and the tags around it that are none of its words: before, words, after."""
    text = run.strip()
    before, after = run[: len(run) - len(run.lstrip())], run[len(run.rstrip()) :]
    while (first := _FIRST.match(text)) and _opens_nothing(text, first):
        ends = re.search(rf"</{first[2]}>\s*\Z", text) if not first[1] else None
        if ends:
            text, after = text[: ends.start()], text[ends.start() :] + after
        rest = text[first.end() :]
        before += first.group() + rest[: len(rest) - len(rest.lstrip())]
        text = rest.strip()
    while (last := _LAST.search(text)) and (not last[1] or f"<{last[2]}" not in text[: last.start()]):
        rest = text[: last.start()]
        after = rest[len(rest.rstrip()) :] + last.group() + after
        text = rest.rstrip()
    return before, text, after


def _opens_nothing(text: str, first: re.Match[str]) -> bool:
    """Whether a tag at the start is closed at the very end, in another run, or closes what another one opened."""
    closing = [found.end() for found in re.finditer(rf"</{first[2]}>", text)]
    return bool(first[1]) or not closing or (len(closing) == 1 and closing[0] == len(text))
