"""Type hints: which classes stand in them, and how to write one so that equal hints read the same in every process."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from contextlib import suppress
from enum import Enum
from types import NoneType, SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def hints_of(cls: type) -> dict[str, Any]:
    """Return the annotations of a class and its bases, each resolved where that can be done, else as it was written.

    One name that cannot be resolved (imported for type checkers alone, say) leaves the others as they are, which
    `typing.get_type_hints` would not.
    """
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        with suppress(NameError):  # Python 3.14 evaluates them only now
            for name, written in inspect.get_annotations(base).items():
                hints[name] = _resolved(written, base)
    return hints


def _resolved(written: Any, home: type) -> Any:
    module = sys.modules.get(home.__module__)
    holder: Any = SimpleNamespace(__annotations__={"it": written})
    try:
        return typing.get_type_hints(holder, vars(module) if module else {}, dict(vars(home)), include_extras=True)[
            "it"
        ]
    except Exception:  # noqa: BLE001  evaluating an annotation may raise anything; as written it still tells something
        return written


def parts_of(hint: Any) -> Iterator[Any]:
    """Yield what a hint is made of, one level down: the `User` and the `list` of `list[User]`."""
    origin = get_origin(hint)
    if origin is Literal:
        yield from (type(choice) for choice in get_args(hint) if isinstance(choice, Enum))
    elif origin is Annotated:
        yield get_args(hint)[0]
    elif origin is not None:
        yield origin
        yield from get_args(hint)
    elif isinstance(hint, list | tuple):  # the arguments of a Callable
        yield from hint
    else:
        for name in ("__value__", "__supertype__", "__bound__"):  # `type X = …`, NewType, TypeVar
            with suppress(AttributeError, NameError):
                yield getattr(hint, name)
        yield from getattr(hint, "__constraints__", ())


def spelled(hint: Any) -> str:  # noqa: PLR0911  one return for each kind of hint
    """Return a hint as text: the same for `Optional[int]` and `int | None`, and on every version of Python."""
    if hint is None or hint is NoneType:
        return "None"
    if isinstance(hint, str):
        return hint
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Union or origin is UnionType:
        return " | ".join(sorted(map(spelled, arguments)))
    if origin is Literal:
        return f"Literal[{', '.join(map(shown, arguments))}]"
    if origin is Annotated:
        return f"{spelled(arguments[0])} with {', '.join(map(shown, arguments[1:]))}"
    if origin is not None:
        return f"{spelled(origin)}[{', '.join(map(spelled, arguments))}]"
    if isinstance(hint, type):
        return f"{hint.__module__}.{hint.__qualname__}"
    if isinstance(hint, list):
        return f"({', '.join(map(spelled, hint))})"
    return shown(hint)


def shown(thing: object) -> str:
    """Return a repr without the addresses that would make it another in each process."""
    return _ADDRESS.sub("", repr(thing))
