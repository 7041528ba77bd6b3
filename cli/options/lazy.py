"""Commands that are imported when they are asked for: a start pays for the command that it runs, and for no other."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import typer
import typer.core
import typer.main

from cli.options.spread import spread

_HOME = "cli.commands"


class Row(NamedTuple):
    """A command: ``module.function`` of cli.commands, and the first sentence of what it says of itself. ``parser``:
    ``module.class`` of cli.commands that parses its arguments where they are no common ones.
    """

    at: str
    help: str
    parser: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Commands under one name. ``group``: ``module.class`` of cli.commands that parses what they share."""

    help: str
    rows: Mapping[str, Row | Family]
    group: str = ""


Table = Mapping[str, Row | Family]


def settings(help: str) -> dict[str, Any]:
    """What every part of the command line has in common, for typer.Typer."""
    return {
        "name": "imgmatch", "no_args_is_help": True, "pretty_exceptions_enable": False, "rich_markup_mode": None,
        "help": help,
    }  # fmt: skip


def lazy(table: Table, group: type[typer.core.TyperGroup] = typer.core.TyperGroup) -> type[typer.core.TyperGroup]:
    """A group of the commands of a table, for ``cls`` of typer.Typer."""

    class Group(group):  # type: ignore[valid-type, misc]
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.commands = _Commands(table)

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            with formatter.section("Commands"):
                formatter.write_dl([(name, row.help.partition("\n")[0]) for name, row in table.items()])

    return Group


class _Commands(MutableMapping[str, Any]):
    """The commands of a table by their names; each is built when it is first asked for."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(name, self._table[name])
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, name: object) -> bool:
        return name in self._table


def _build(name: str, row: Row | Family) -> Any:
    if isinstance(row, Family):
        group = at(row.group) if row.group else typer.core.TyperGroup
        family = typer.Typer(cls=lazy(row.rows, group), add_completion=False, **settings(row.help))
        family.callback()(lambda: None)
    else:
        family = typer.Typer(add_completion=False, **settings(""))
        family.command(name, cls=at(row.parser) if row.parser else None)(spread(at(row.at)))
    command = typer.main.get_command(family)
    command.name = name
    return command


def at(place: str) -> Any:
    """What lies at ``module.name`` of cli.commands."""
    module, _, name = place.partition(".")
    return getattr(importlib.import_module(f"{_HOME}.{module}"), name)
