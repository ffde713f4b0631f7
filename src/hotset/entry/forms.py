"""The form of a class: how its instances are taken apart into plain values, and made again, exactly.

An instance is made as `pickle` and `copy` would: by its state, past `__init__`, validators and converters, since it
has been through them once. That needs proof that the class is still the one that wrote the bytes: the `shape`, a
checksum over names and types of its fields. A class that has changed has another shape, and its old bytes are a miss,
rather than instances with a field missing, or a default where the source has a value.
"""

from __future__ import annotations

import inspect
import sys
from collections import OrderedDict
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, Flag
from functools import cached_property, lru_cache
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any
from zlib import crc32

from hotset.entry.hints import hints_of, shown, spelled
from hotset.errors import CodecError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class Form:
    """How instances of one class become plain values and come back."""

    shape: int
    """u32: what of the class must be equal where the bytes are read."""
    take: Callable[[Any], Any]
    """From an instance to a list, dict, text or number of what it holds; raises `CodecError`."""
    make: Callable[[Any], Any]
    """And back; raises whatever comes of parts that `take` did not give."""


def called(cls: type) -> str:
    """Return the name that a class has without being given one."""
    return f"{cls.__module__}.{cls.__qualname__}"


def titled(cls: type) -> str:
    """Return the name of a class as people write it in a message: a builtin's without its module."""
    return cls.__qualname__ if cls.__module__ == "builtins" else called(cls)


@lru_cache(maxsize=1024)
def form_of(cls: type) -> Form:  # noqa: PLR0911  one return for each kind
    """Return the form of a class.

    Raises:
        ConfigError: it is none of the kinds that have one; the message says which have.
    """
    if issubclass(cls, Enum):
        return _flag(cls) if issubclass(cls, Flag) else _enum(cls)
    if _is_a(cls, "pydantic.main", "BaseModel"):
        return _pydantic(cls)
    if _is_a(cls, "msgspec", "Struct"):
        return _struct(cls)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _named_tuple(cls)
    if (attributes := getattr(cls, "__attrs_attrs__", None)) is not None:
        return _by_attributes(cls, [attribute.name for attribute in attributes])
    if is_dataclass(cls):
        return _by_attributes(cls, [field.name for field in fields(cls)])
    for base, (take, make) in _BASES.items():
        if issubclass(cls, base):
            return _of_builtin(cls, base, take, make)
    raise ConfigError(
        f"{called(cls)} cannot be registered: only an Enum, a dataclass, a NamedTuple, a msgspec.Struct, an attrs or "
        f"pydantic class, or a subclass of {', '.join(sorted(base.__name__ for base in _BASES))} can"
    )


def _is_a(cls: type, module: str, name: str) -> bool:
    """Whether a class derives from one of a third party, which nobody has to have, and which this must not load."""
    base = getattr(sys.modules.get(module), name, None)
    return isinstance(base, type) and issubclass(cls, base)


def _shape(lines: Iterable[str]) -> int:
    return crc32("\n".join(lines).encode(errors="backslashreplace"))


def _lines(cls: type, names: Iterable[str]) -> list[str]:
    hints = hints_of(cls)
    return [f"{name}: {spelled(hints.get(name, Any))}" for name in names]


def _enum(cls: type[Enum]) -> Form:
    def take(member: Enum) -> str:
        name: str = member._name_
        if cls.__members__.get(name) is not member:
            raise CodecError(f"{called(cls)} has no member that is called {name!r}")
        return name

    return Form(0, take, cls.__members__.__getitem__)


def _flag(cls: type[Flag]) -> Form:
    """By number, since a combination has no name of its own; so the numbers are its shape."""
    shape = _shape(f"{name}: {member.value}" for name, member in cls.__members__.items())
    return Form(shape, lambda flag: flag._value_, cls)


def _named_tuple(cls: Any) -> Form:
    names: tuple[str, ...] = cls._fields

    check = _no_more_than(cls, names)

    def take(value: tuple[Any, ...]) -> list[Any]:
        check(value)
        return [*tuple.__iter__(value)]

    def make(parts: list[Any]) -> Any:
        if len(parts) != len(names):
            raise CodecError(f"{called(cls)} has {len(names)} fields, not {len(parts)}")
        return tuple.__new__(cls, parts)

    return Form(_shape(_lines(cls, names)), take, make)


def _no_more_than(cls: type, names: Iterable[str]) -> Callable[[Any], None]:
    """Return the check that an instance holds nothing beside its fields, and what a cached_property keeps there."""
    known = {*names, *(name for name in dir(cls) if isinstance(inspect.getattr_static(cls, name), cached_property))}

    def check(value: Any) -> None:
        held = getattr(value, "__dict__", None)
        if held and not known.issuperset(held):
            more = ", ".join(sorted(set(held) - known))
            raise CodecError(f"this {called(cls)} holds more than its content: {more}")

    return check


_CACHED_HASH = "_attrs_cached_hash"


def _by_attributes(cls: type, names: list[str]) -> Form:
    """A dataclass or an attrs class: its fields, set one by one."""
    try:
        object.__new__(cls)
    except TypeError:
        raise ConfigError(
            f"{called(cls)} cannot be registered: it is abstract, or its fields do not hold all that its base holds"
        ) from None
    # attrs' cache_hash=True keeps the hash in a place that its __init__ makes
    caches = _CACHED_HASH in getattr(getattr(cls.__hash__, "__code__", None), "co_names", ())

    check = _no_more_than(cls, names)

    def take(value: Any) -> dict[str, Any]:
        check(value)
        return {name: getattr(value, name) for name in names if hasattr(value, name)}

    def make(parts: dict[str, Any]) -> Any:
        made: Any = object.__new__(cls)
        for name in names:
            if name in parts:
                object.__setattr__(made, name, parts[name])
        if caches:
            object.__setattr__(made, _CACHED_HASH, None)
        return made

    return Form(_shape(_lines(cls, sorted(names))), take, make)


def _struct(cls: Any) -> Form:
    from msgspec import UNSET
    from msgspec.structs import force_setattr

    names: tuple[str, ...] = cls.__struct_fields__
    check = _no_more_than(cls, names)

    def take(value: Any) -> dict[str, Any]:
        check(value)
        return {name: part for name in names if (part := getattr(value, name, UNSET)) is not UNSET}

    def make(parts: dict[str, Any]) -> Any:
        made = cls(**{name: parts.get(name, UNSET) for name in names})
        for name in names:  # what __post_init__ has made of them was made before
            part = parts.get(name, UNSET)
            if getattr(made, name) is not part:
                force_setattr(made, name, part)
        return made

    return Form(_shape(_lines(cls, sorted(names))), take, make)


def _pydantic(cls: Any) -> Form:
    """By the four parts of a model's state that pydantic itself pickles."""
    declared = getattr(cls, "model_fields", None)
    if declared is None:
        raise ConfigError(f"{called(cls)} cannot be registered: it is a model of pydantic 1, hotset knows pydantic 2")
    lines = [f"{name}: {spelled(field.annotation)} {shown(field.metadata)}" for name, field in sorted(declared.items())]

    def take(model: Any) -> list[Any]:
        state = model.__getstate__()
        content = {name: part for name, part in state["__dict__"].items() if name in declared}
        return [
            content,
            sorted(state["__pydantic_fields_set__"]),
            state["__pydantic_extra__"],
            state["__pydantic_private__"],
        ]

    def make(parts: list[Any]) -> Any:
        content, given, extra, private = parts
        made = cls.__new__(cls)
        made.__setstate__(
            {
                "__dict__": content,
                "__pydantic_fields_set__": set(given),
                "__pydantic_extra__": extra,
                "__pydantic_private__": private,
            }
        )
        return made

    return Form(_shape(lines), take, make)


_HEAP_TYPE = 1 << 9
"""The bit of `__flags__` of a class that was written in Python."""


def _of_builtin(cls: Any, base: Any, take_base: Callable[[Any], Any], make_base: Callable[[Any, Any], Any]) -> Form:
    """A subclass of text, a number, a list …, that adds behaviour and no state."""
    for part in cls.__mro__[: cls.__mro__.index(base)]:
        slots = any(isinstance(member, MemberDescriptorType) for member in vars(part).values())
        if slots or not part.__flags__ & _HEAP_TYPE:
            raise ConfigError(f"{called(cls)} cannot be registered: it holds more than {base.__name__} does")

    check = _no_more_than(cls, ())
    kept_as = dict if base is OrderedDict else base

    def take(value: Any) -> Any:
        check(value)
        return take_base(value)

    def make(content: Any) -> Any:
        if type(content) is not kept_as:
            raise CodecError(f"{called(cls)} is made of a {kept_as.__name__}, not {type(content).__name__}")
        return make_base(cls, content)

    return Form(_shape([base.__name__]), take, make)


def _ordered(cls: type[OrderedDict[Any, Any]], content: dict[Any, Any]) -> Any:
    made = OrderedDict.__new__(cls)
    for key, value in content.items():
        OrderedDict.__setitem__(made, key, value)
    return made


def _filled(base: Any, fill: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def make(cls: Any, content: Any) -> Any:
        made = base.__new__(cls)
        fill(made, content)
        return made

    return make


_BASES: dict[Any, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    str: (str.__str__, str.__new__),
    int: (int.__int__, int.__new__),
    float: (float.__float__, float.__new__),
    bytes: (lambda value: bytes.__getitem__(value, slice(None)), bytes.__new__),
    tuple: (lambda value: tuple.__getitem__(value, slice(None)), tuple.__new__),
    frozenset: (lambda value: frozenset(frozenset.__iter__(value)), frozenset.__new__),
    set: (lambda value: set(set.__iter__(value)), _filled(set, set.update)),
    list: (lambda value: list.__getitem__(value, slice(None)), _filled(list, list.extend)),
    OrderedDict: (lambda value: dict(OrderedDict.items(value)), _ordered),
    dict: (lambda value: dict(dict.items(value)), _filled(dict, dict.update)),
}
"""By base, the nearer first: how its content is read and written, whatever the subclass makes of its methods."""
