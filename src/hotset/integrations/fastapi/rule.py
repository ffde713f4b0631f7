"""The rule: what comes from the request is named in the key.

An endpoint's value is given to whoever asks for its key. So each parameter that a request decides (path, query, header,
cookie, body, who asks) is in the key, itself or by an attribute, or is said to be `apart`; a dependency counts as what
it reads, and one that takes the whole request as if it read all of it. A dependency that reads nothing of the request,
a session say, is passed on and makes no key. What a route or a router depends on without giving it to the endpoint (a
gate: `dependencies=[Depends(require_login)]`) runs each time, before the cache.
"""

from __future__ import annotations

import inspect
from string import Formatter
from typing import TYPE_CHECKING, Any, get_args

from fastapi.dependencies.utils import get_dependant
from fastapi.security.base import SecurityBase

from hotset.entry.template import can_render
from hotset.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SPECIAL = {
    "request_param_name": ("Request", "take what it needs of the request as parameters, and name them in the key"),
    "http_connection_param_name": ("HTTPConnection", "take what it needs as parameters, and name them in the key"),
    "websocket_param_name": ("WebSocket", "a conversation has no one answer that could be kept"),
    "response_param_name": ("Response", "what it sets would be sent by the first answer only; set it in a dependency"),
    "background_tasks_param_name": (
        "BackgroundTasks",
        "they would run with the first answer only; add them in a dependency",
    ),
    "security_scopes_param_name": (
        "SecurityScopes",
        "take them in a dependency that returns who asks, as in {user.id}",
    ),
}
_FIELDS = {
    "path_params": "path", "query_params": "query", "header_params": "header", "cookie_params": "cookie",
    "body_params": "body",
}  # fmt: skip


def check_parameters(function: Callable[..., Any], template: str, apart: Iterable[str]) -> None:
    """Raise a `ConfigError` for a parameter that the value may depend on and the key does not name."""
    where = f"cached: {function.__qualname__}"
    named = {_first(field) for field in _fields(template)}
    whole = {field for field in _fields(template) if field.isidentifier()}
    parameters = set(inspect.signature(function).parameters)
    left_out = set(apart)
    if wrong := sorted(left_out - parameters) or sorted(left_out & named):
        raise ConfigError(f"{where}: apart names parameters that the key does not: {wrong[0]} is none")
    dependant = get_dependant(path="/", call=function)
    for attribute, (kind, instead) in _SPECIAL.items():
        if (name := getattr(dependant, attribute)) is not None:
            raise ConfigError(f"{where}: {name} is a {kind}; {instead}")
    for name, what in _from_request(dependant):
        if name not in named | left_out:
            raise ConfigError(
                f"{where}: {name} {what}, and {template!r} does not name it: every request would get the first one's "
                f"answer. Name it, as in {{{name}}} or {{{name}.id}}; or, if no answer depends on it, apart=[{name!r}]"
            )
    for sub in dependant.dependencies:
        if sub.name in whole:
            _check_whole(function, sub.name, where)


def _check_whole(function: Callable[..., Any], name: str, where: str) -> None:
    """Refuse a dependency as a part of the key where its type says that it is none."""
    kind = inspect.get_annotations(function, eval_str=True).get(name)
    kind = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if isinstance(kind, type) and not can_render(kind):
        raise ConfigError(
            f"{where}: {{{name}}} is a {kind.__name__}, which is no part of a key: leave it out, and it is passed on "
            f"all the same; or name what tells one from another, as in {{{name}.id}}"
        )


def _fields(template: str) -> Iterator[str]:
    return (field for _, field, _, _ in Formatter().parse(template) if field is not None)


def _first(field: str) -> str:
    return field.partition(".")[0].partition("[")[0]


def _from_request(dependant: Any) -> Iterator[tuple[str, str]]:
    """Return the parameters of an endpoint that a request decides, and how."""
    for attribute, part in _FIELDS.items():
        for field in getattr(dependant, attribute):
            yield field.name, f"comes from the request ({part})"
    for sub in dependant.dependencies:
        if (what := next(_reads(sub), None)) is not None:
            yield sub.name, f"depends on the request ({what})"


def _reads(dependant: Any) -> Iterator[str]:
    """Return what a dependency reads of the request, itself or by what it depends on."""
    if isinstance(dependant.call, SecurityBase):
        yield "who asks"
        return
    for attribute, part in _FIELDS.items():
        for field in getattr(dependant, attribute):
            yield f"{part} {field.alias}"
    if _takes_all(dependant):
        yield "all of it: it takes the Request"
    for sub in dependant.dependencies:
        yield from _reads(sub)


def credentials(dependant: Any) -> set[str]:
    """Return the fields by which a route, by any of its dependencies, tells who asks."""
    fields = {"Cookie"} if dependant.cookie_params else set()
    if isinstance(dependant.call, SecurityBase):
        model: Any = dependant.call.model
        place = getattr(getattr(model, "in_", None), "value", "header")
        fields.add({"cookie": "Cookie", "query": ""}.get(place, getattr(model, "name", None) or "Authorization"))
        return fields - {""}
    fields |= {field.alias for field in dependant.header_params if field.alias.lower() == "authorization"}
    return fields.union(*(credentials(sub) for sub in dependant.dependencies))


def varies(dependant: Any) -> set[str]:
    """Return the fields of a request that a route's dependencies read, for `Vary`."""
    fields = credentials(dependant) | {field.alias for field in dependant.header_params}
    return fields.union(*(_varies(sub) for sub in dependant.dependencies))


def _varies(dependant: Any) -> set[str]:
    if isinstance(dependant.call, SecurityBase):
        return credentials(dependant)
    whole = {"Authorization", "Cookie"} if _takes_all(dependant) else set()  # it may read who asks
    return whole | varies(dependant)


def gates(dependant: Any) -> set[str]:
    """Return what a route's gates, which give the endpoint nothing, take that may tell who asks: the whole request."""
    closed = [sub for sub in dependant.dependencies if sub.name is None]
    return {"the whole Request in a gate" for sub in closed if _any_takes_all(sub)}


def _any_takes_all(dependant: Any) -> bool:
    return _takes_all(dependant) or any(_any_takes_all(sub) for sub in dependant.dependencies)


def _takes_all(dependant: Any) -> bool:
    # the classes of `fastapi.security` take it to read their own field, which `credentials` knows
    taken = dependant.request_param_name or dependant.http_connection_param_name
    return bool(taken) and not isinstance(dependant.call, SecurityBase)
