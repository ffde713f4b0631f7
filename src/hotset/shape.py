"""Shapes: how arguments become a key and tags, for a family by its template, for a function by its parameters.

What a function must be to be cached is said here too: its shape shows whether two calls of it can be told apart.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_type_hints

from hotset.entry.template import Tags, Template, escape, render
from hotset.errors import ConfigError
from hotset.options import NAMES
from hotset.options import tags as tag_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hotset.options import OptionArgs, Options


class Shape:
    """How arguments become a key and tags; the type and the options that go with them. Immutable, shared by views."""

    __slots__ = ("_prefix", "_simple", "kind", "names", "options", "signature", "tags", "template")

    def __init__(
        self,
        template: Template | None,
        signature: inspect.Signature,
        prefix: str,
        kind: Any,
        options: Options,
        tags: Tags,
    ) -> None:
        self.template = template
        self.signature = signature
        self.kind = kind
        self.options = replace(options, kind=kind, family=template.text if template is not None else prefix)
        self.tags = tags
        self._prefix = prefix
        self.names = tuple(signature.parameters)
        plain = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        self._simple = all(each.kind in plain for each in signature.parameters.values())

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, defaults filled in; a TypeError as the function itself would raise."""
        if self._simple and not kwargs and len(args) == len(self.names):
            return dict(zip(self.names, args, strict=True))
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def key(self, values: Mapping[str, Any]) -> str:
        """Return the key of these arguments."""
        if self.template is not None:
            return self.template.make(values)
        parts = []
        for name, value in values.items():
            parameter = self.signature.parameters[name]
            each = tuple(sorted(value.items())) if parameter.kind is parameter.VAR_KEYWORD else value
            parts.append(escape(render(each, f"argument {name} of {self._prefix}"), ","))
        return f"{self._prefix}({','.join(parts)})"

    def item(self, item: Any, bound: tuple[Any, ...]) -> dict[str, Any]:
        """Return the arguments that an item of a many call stands for: itself, or the tuple of several."""
        rest = len(self.names) - len(bound)
        given = item if rest > 1 and isinstance(item, tuple) else (item,)
        return self.bind((*bound, *given), {})


def shape(template: str, kind: Any, defaults: Options, given: OptionArgs) -> Shape:
    """Return the shape of a family that is made from its template alone."""
    parsed = Template(template, None)
    if not parsed.names:
        raise ConfigError(f'template {template!r} names no field: a family has some, as in "user:{{id}}"')
    for name in parsed.names:
        if name in NAMES:
            raise ConfigError(f"template {template!r}: {name} is the name of an option; call the field otherwise")
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in parsed.names]
    options, tags = with_tags(defaults, given, parsed.names)
    return Shape(parsed, inspect.Signature(parameters), "", kind, options, tags)


def with_tags(defaults: Options, given: OptionArgs, names: Iterable[str]) -> tuple[Options, Tags]:
    """Return the options of a family and its tags; those without a field are plain tags of the options."""
    tags = Tags(tag_names(given.get("tags", ())), tuple(names))
    return defaults.default({**given, "tags": tags.plain}), tags


def shape_of(function: Any, template: str | None, face: Any, options: OptionArgs, *, is_method: bool) -> Shape:
    """Return how a function's arguments become a key; ConfigError for a template that does not fit it."""
    where = f"{function.__module__}.{function.__qualname__}"
    signature = inspect.signature(function)
    names = tuple(signature.parameters)
    defaults, tags = with_tags(face._space.options, options, names)
    if template is None:
        if is_method:
            raise ConfigError(
                f'template: the method {where} needs one, as in @cached("{function.__name__}:{{self.id}}"): '
                "an object is no key, and its address may be another's tomorrow"
            )
        if names[:1] == ("self",):  # a task that is bound to itself, in Celery's way
            of = f":{{{names[1]}}}" if len(names) > 1 else ""
            raise ConfigError(
                f'template: {where} needs one, as in @cached("{function.__name__}{of}"): its self is an object, no key'
            )
        _check_named(function, where)
        return Shape(None, signature, where, _returned(function), defaults, tags)
    parsed = Template(template, names)
    own = names[1:] if is_method or names[:1] == ("self",) else names
    if own and not parsed.names:
        raise ConfigError(
            f"template {template!r} names no parameter of {where}: all calls would share one entry; "
            f"as in '{template}:{{{own[0]}}}'"
        )
    return Shape(parsed, signature, "", _returned(function), defaults, tags)


def _returned(function: Any) -> Any:
    """Return the type that a function is annotated to return, None if it is not, or not yet known.

    A name that is defined further down is not known yet: its class is registered instead (`cache.register`).
    """
    try:
        return get_type_hints(inspect.unwrap(function)).get("return")
    except Exception:  # noqa: BLE001  an annotation may be any code
        return None


def _check_named(function: Any, where: str) -> None:
    """Refuse, without a template, what its name and arguments alone do not tell from another function."""
    plain = inspect.unwrap(function)
    if plain.__name__ == "<lambda>":
        raise ConfigError(f'template: {where} needs one, as in @cached("total:{{x}}"): every lambda has the same name')
    closed_over = getattr(getattr(plain, "__code__", None), "co_freevars", ())
    if closed_over:
        raise ConfigError(
            f"template: {where} needs one, because its result depends on {', '.join(closed_over)}, from the function "
            f'around it, which is no part of the key; as in @cached("{plain.__name__}:…")'
        )


def check_kind(function: Any) -> None:
    """Refuse what is no function, and what a second reader could not read again."""
    valid = "cached: valid are functions, methods and coroutine functions"
    if hasattr(function, "apply_async"):  # Celery's, or one made in its image
        raise ConfigError(
            f"{valid}; {function.__name__} is a task already, and what is sent would pass by the cache: write "
            "@app.task above @cache.cached, which stands next to the function"
        )
    if isinstance(function, property):
        raise ConfigError(f"{valid}; a property is none: cache a method, and let the property call it")
    if isinstance(function, type):
        raise ConfigError(f"{valid}; the class {function.__qualname__} is none: cache a function that makes it")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"{valid}; {function.__qualname__} is a generator, which can be read only once: return a list"
        )
    if not callable(function) or not hasattr(function, "__qualname__"):
        raise ConfigError(f"{valid}; not {function!r}")


def takes_instance(function: Any) -> bool:
    """Tell whether a function was defined in a class body and takes the instance, or the class, first."""
    outer = function.__qualname__.rpartition(".")[0]
    first = next(iter(inspect.signature(function).parameters), "")
    return bool(outer) and not outer.endswith("<locals>") and first in {"self", "cls"}
