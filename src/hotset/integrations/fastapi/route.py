"""The response that FastAPI itself would make of an endpoint's value: its model, filters, class, status and headers."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import serialize_response
from starlette.responses import Response

from hotset.ports.sync import run_sync

if TYPE_CHECKING:
    from starlette.requests import Request

_DUMPS = "dump_json" in inspect.signature(serialize_response).parameters  # FastAPI 0.130 and later


def route_of(request: Request) -> Any:
    """Return the route of a request, with what the routers that include it add to it."""
    route = request.scope["route"]
    context = request.scope.get("fastapi", {}).get("effective_route_context")
    return context if context is not None and context.original_route is route else route


def respond(request: Request, sent: Response, value: Any) -> Response:
    """Return the response for a value; `sent` is what dependencies have set headers and a status on."""
    route = route_of(request)
    chosen = route.response_class
    default = isinstance(chosen, DefaultPlaceholder)
    dumps = _DUMPS and default and route.response_field is not None
    more: dict[str, Any] = {"dump_json": True} if dumps else {}
    content = run_sync(  # it suspends only to validate in a thread, which is_coroutine rules out
        serialize_response(
            field=route.response_field,
            response_content=value,
            include=route.response_model_include,
            exclude=route.response_model_exclude,
            by_alias=route.response_model_by_alias,
            exclude_unset=route.response_model_exclude_unset,
            exclude_defaults=route.response_model_exclude_defaults,
            exclude_none=route.response_model_exclude_none,
            is_coroutine=True,
            **more,
        )
    )
    status = sent.status_code or route.status_code or 200
    if dumps:
        response = Response(content, status, media_type="application/json")
    else:
        response = (chosen.value if default else chosen)(content, status_code=status)
    response.raw_headers.extend(sent.raw_headers)
    return response
