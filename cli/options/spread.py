"""Groups of options: a parameter of a command that is a dataclass stands for an option a field."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from cli.render.notes import be_quiet

_QUIET = inspect.Parameter(
    "quiet",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--quiet", "-q", help="Only results, warnings and errors.")],
)


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer is to see it: the fields of each group in the group's place, with their own defaults; and
    with ``--quiet``, which every command has.
    """
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if dataclasses.is_dataclass(parameter.annotation):
            kind: Any = parameter.annotation
            groups[parameter.name] = kind
            parameters += [parameter.replace(**option) for option in _options(kind)]
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def call(**given: Any) -> None:
        if given.pop("quiet"):
            be_quiet()
        for name, group in groups.items():
            given[name] = group(**{option["name"]: given.pop(option["name"]) for option in _options(group)})
        command(**given)

    call.__signature__ = inspect.Signature([*parameters, _QUIET])  # type: ignore[attr-defined]
    call.__annotations__ = {}  # Typer has them from the signature, evaluated
    return call


@functools.cache
def _options(group: Any) -> list[dict[str, Any]]:
    hints = get_type_hints(group, include_extras=True)
    return [
        {"name": field.name, "annotation": hints[field.name], "default": field.default}
        for field in dataclasses.fields(group)
    ]
