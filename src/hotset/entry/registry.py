"""Classes by name: the only ones that bytes may name, and that nothing has to be imported for.

A class is registered, or it is known for one call because the type of the value leads to it.
"""

from __future__ import annotations

import builtins
import threading
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from hotset.entry.forms import called, form_of, titled
from hotset.entry.hints import hints_of, parts_of
from hotset.errors import CodecError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotset.entry.forms import Form

C = TypeVar("C", bound=type)

KEPT = frozenset(
    {
        *(NoneType, bool, int, float, str, bytes, bytearray, list, dict, tuple, set, frozenset),
        *(datetime, date, time, timedelta, Decimal, UUID),
    }
)
"""What is kept as it is, and needs no name."""
NAME_LIMIT = 200


class Registry:
    """The classes of one codec, by the names that stand for them in bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[type, tuple[str, Form]] = {}
        self._classes: dict[str, type] = {}

    def register(self, cls: C, name: str | None = None) -> C:
        """Have instances of `cls` kept and rebuilt under `name`; return the class, as a decorator does.

        Args:
            cls: an Enum, a dataclass, a NamedTuple, a msgspec.Struct, an attrs or pydantic class, or a subclass of
                str, int, float, bytes, list, tuple, dict, OrderedDict, set or frozenset that holds nothing more.
            name: what stands for it in bytes; module and name of the class if not given. Give one to classes of a
                script's `__main__`, and to those that may move.

        Again with the same name changes nothing, and a class that was reloaded takes the place of its former self.

        Raises:
            ConfigError: `cls` is none of these, or the name is no name, or another class has it.
        """
        if not isinstance(cls, type):
            raise ConfigError(f"register: a class, not {cls!r:.80}")
        if cls in KEPT:
            raise ConfigError(f"register: {cls.__name__} is kept as it is and needs no name")
        form = form_of(cls)
        name = called(cls) if name is None else _checked(name)
        with self._lock:
            other = self._classes.get(name)
            if other is not None and called(other) != called(cls):
                raise ConfigError(
                    f"register: the name {name!r} is taken by {called(other)}; give {called(cls)} another"
                )
            earlier = self._names.get(cls)
            if earlier is not None and earlier[0] != name:
                raise ConfigError(f"register: {called(cls)} has a name already, {earlier[0]!r}; not {name!r} too")
            self._names[cls] = (name, form)  # first: who finds the class under its name looks here next
            self._classes[name] = cls
        return cls

    def known(self, type: Any = None) -> Known:
        """Return what one call knows: the classes here, and those that `type` leads to."""
        return Known(self._names, self._classes, _reached(type))


class Known:
    """The classes that one call may take apart and make."""

    __slots__ = ("_classes", "_names", "_reached")

    def __init__(
        self, names: Mapping[type, tuple[str, Form]], classes: Mapping[str, type], reached: Mapping[str, type]
    ) -> None:
        self._names = names
        self._classes = classes
        self._reached = reached

    def of(self, cls: type) -> tuple[str, Form]:
        """Return name and form of a class; raises `CodecError`."""
        named = self._names.get(cls)
        if named is not None:
            return named
        name = called(cls)
        if self._reached.get(name) is cls and self._classes.get(name, cls) is cls:
            return name, form_of(cls)
        try:
            form_of(cls)
        except ConfigError:
            raise CodecError(f"{titled(cls)} is no type that can be kept") from None
        raise CodecError(f"the class {name} is not registered, and no type= leads to it")

    def form(self, name: str) -> Form:
        """Return the form of the class that bytes name; raises `CodecError`."""
        cls = self._classes.get(name)
        if cls is not None:
            return self._names[cls][1]
        cls = self._reached.get(name)
        if cls is None:
            raise CodecError(f"no class is registered as {name!r:.80}, and no type= leads to it")
        return form_of(cls)


def _checked(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise ConfigError(f"register: name is a text of 1 to {NAME_LIMIT} printable characters, not {name!r:.80}")
    return str.__str__(name)


_NOBODY: Mapping[str, type] = MappingProxyType({})


def _reached(type: Any) -> Mapping[str, type]:
    if type is None:
        return _NOBODY
    try:
        return _walked(type)
    except TypeError:  # a hint with something unhashable in it, as Annotated may have
        return _walked.__wrapped__(type)


@lru_cache(maxsize=256)
def _walked(type: Any) -> Mapping[str, type]:
    """Return the classes that a hint leads to and that have a form, by their own names."""
    found: dict[str, Any] = {}
    seen: dict[int, Any] = {}  # by id, since not every hint has a hash; held, so that no id comes twice
    hints = [type]
    while hints:
        hint = hints.pop()
        if id(hint) in seen:
            continue
        seen[id(hint)] = hint
        if not isinstance(hint, builtins.type):
            hints += parts_of(hint)
        elif hint not in KEPT:
            try:
                form_of(hint)
            except ConfigError:
                continue
            found[called(hint)] = hint
            hints += hints_of(hint).values()
            hints += hint.__dict__.get("__orig_bases__", ())
            hints += (field.annotation for field in getattr(hint, "model_fields", {}).values())
    return MappingProxyType(found)
