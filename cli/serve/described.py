"""A service's description (OpenAPI 3.1), made from its routes and from the types that its messages are checked by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import imgmatch
from cli.serve.messages import API_HEADER, KEY_HEADER, MAX_UPLOAD_BYTES, Refused

_PLAIN: dict[Any, dict[str, Any]] = {
    NoneType: {"type": "null"}, bool: {"type": "boolean"}, int: {"type": "integer"}, float: {"type": "number"},
    str: {"type": "string"}, Any: {},
}  # fmt: skip
_ERRORS = {
    400: "what is asked makes no sense; the message says what to do",
    401: "no token, or one that does not let in",
    403: "a case, or a picture as it is, that this person has no right to",
    404: "there is no such thing here",
    409: "pictures are missing and are to be sent again, or the request's id is that of another request",
    413: "more bytes than are taken",
    429: "too many requests; again after Retry-After seconds",
    500: "a fault of the service",
    503: "the service is full; again after Retry-After seconds",
}


@dataclass(frozen=True, slots=True)
class Described:
    """One route. ``asked``: the type of its body; ``raw``: it is a picture's bytes; ``told``: the type of its answer,
    None where that is a JPEG. ``query``: what may stand in the address. ``once``: sent again with the same key, it is
    recorded once.
    """

    method: str
    path: str
    summary: str
    told: Any = None
    asked: Any = None
    raw: bool = False
    query: Mapping[str, str] = ()  # type: ignore[assignment]
    open_to_all: bool = False
    once: bool = False


def openapi(routes: tuple[Described, ...]) -> dict[str, Any]:
    """The description."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "imgmatch search service",
            "version": imgmatch.__version__,
            "description": "Leads for an examiner, never verdicts. Every search is recorded in the log of each case.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(route: Described, schemas: dict[str, Any]) -> dict[str, Any]:
    of_address = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    asked = [
        {"name": name, "in": "query", "description": says, "schema": {"type": "string"}}
        for name, says in dict(route.query).items()
    ]
    key = "an id of this request: sent again with it, it is recorded once"
    keys = (
        [{"name": KEY_HEADER, "in": "header", "description": key, "schema": {"type": "string"}}] if route.once else []
    )
    content = (
        {"image/jpeg": {}} if route.told is None else {"application/json": {"schema": schema(route.told, schemas)}}
    )
    told = {"description": "done", "headers": {API_HEADER: {"schema": {"type": "string"}}}, "content": content}
    refused = {"application/json": {"schema": schema(Refused, schemas)}}
    made: dict[str, Any] = {
        "summary": route.summary,
        "parameters": [*of_address, *asked, *keys],
        "responses": {
            "200": told,
            **{str(code): {"description": why, "content": refused} for code, why in _ERRORS.items()},
        },
    }
    if route.open_to_all:
        made["security"] = []
    if route.raw:
        body: dict[str, Any] = {"application/octet-stream": {"schema": {"maxLength": MAX_UPLOAD_BYTES}}}
        made["requestBody"] = {"required": True, "content": body}
    elif route.asked is not None:
        body = {"application/json": {"schema": schema(route.asked, schemas)}}
        made["requestBody"] = {"required": True, "content": body}
    return made


def schema(kind: Any, named: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a type that ``imgmatch.workers.wire.checked`` knows; those of TypedDicts go to ``named``."""
    origin, inside = get_origin(kind), get_args(kind)
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if origin in (Required, NotRequired):
        return schema(inside[0], named)
    if origin is Annotated:
        return _bounded(schema(inside[0], named), inside[1])
    if origin is Literal:
        return {"enum": list(inside)}
    if origin in (Union, UnionType):
        return {"anyOf": [schema(each, named) for each in inside]}
    if origin is list:
        return {"type": "array", "items": schema(inside[0], named)}
    if origin is tuple:
        items = [schema(each, named) for each in inside]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema(inside[1], named)}
    name = kind.__name__
    if name not in named:
        named[name] = {}  # it may hold itself
        fields = get_type_hints(kind, include_extras=True)
        named[name] = {
            "type": "object",
            "description": " ".join((kind.__doc__ or "").split()),
            "properties": {field: schema(hint, named) for field, hint in fields.items()},
            "required": sorted(kind.__required_keys__),
            "additionalProperties": False,
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _bounded(made: dict[str, Any], bound: range | re.Pattern[str]) -> dict[str, Any]:
    if isinstance(bound, re.Pattern):
        return {**made, "pattern": f"^{bound.pattern}$"}
    least, most = {
        "string": ("minLength", "maxLength"), "array": ("minItems", "maxItems"), "integer": ("minimum", "maximum")
    }[made["type"]]  # fmt: skip
    return {**made, least: bound.start, most: bound.stop - 1}
