"""Templates: `"user:{user_id}"` and the keys that they make of arguments.

Distinct arguments make distinct keys. A value is rendered by its type: text as it is, a number as its digits; a text
that looks like another type's rendering gets a mark before it ("'7"), a type with no rendering of its own is refused.
What would end a field early, and what a pattern would take for a wildcard, is percent-escaped. A format or a conversion
(`{when:%Y-%m}`, `{x!r}`) is the author's own choice of text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from string import Formatter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from hotset.errors import ConfigError, KeyRejected, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FORMATTER: Final = Formatter()
_ALWAYS: Final = "%{}*?[]\\"
# What a value that is no text can look like; a text of such a look is marked.
_LOOKS_TYPED: Final = re.compile(
    r"['~(].*|[-+]?\d[\d.]*(e[-+]?\d+)?j?|-?inf|nan|None|True|False|\d{4}-\d\d-\d\d.*|\d\d:\d\d.*"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    re.DOTALL,
)


_DATES: Final = (date, datetime, time)  # these exactly: an Enum may be one too
_RENDERED: Final = (str, float, type(None), UUID, Enum, Decimal, timedelta, bytes, tuple, frozenset)


def render(value: Any, what: str) -> str:
    """Return the text of a value inside a key: different values, and values of different types, differ."""
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is str:
        return f"'{value}" if _LOOKS_TYPED.fullmatch(value) else value
    if kind is float:
        return repr(value)
    if kind in _DATES:
        return str(value.isoformat())
    if value is None or kind is bool or kind is UUID:
        return str(value)
    return _render_rare(value, kind, what)


def _render_rare(value: Any, kind: type, what: str) -> str:
    stands_for: type = value.__class__
    if stands_for is not kind:  # it says that it is another: all that follows would ask that other
        raise KeyRejected(
            f"{what}: a {kind.__qualname__}, which stands for a {stands_for.__qualname__}, cannot be part of a "
            "key; name one of its attributes in a template, as in {user.id}"
        )
    if isinstance(value, Enum):
        return f"~{kind.__module__}.{kind.__qualname__}.{value.name}"
    if isinstance(value, Decimal):
        return f"~Decimal {value}"
    if isinstance(value, timedelta):
        return f"~timedelta {value.days} {value.seconds} {value.microseconds}"
    if isinstance(value, bytes):
        return f"~bytes {value.hex()}"
    if isinstance(value, tuple):
        return f"({','.join(_element(each, what) for each in value)})"
    if isinstance(value, frozenset):
        return f"~({','.join(sorted(_element(each, what) for each in value))})"
    if isinstance(value, str):
        return render(str.__str__(value), what)
    if hasattr(kind, "__index__"):
        return str(value.__index__())
    hint = (
        "use a tuple"
        if kind in {list, set, dict, bytearray}
        else "name one of its attributes in a template, as in {user.id}"
    )
    raise KeyRejected(f"{what}: a {kind.__qualname__} cannot be part of a key; {hint}")


def can_render(kind: type) -> bool:
    """Tell whether the values of a type have a text inside a key."""
    return issubclass(kind, (*_DATES, *_RENDERED)) or hasattr(kind, "__index__")


def _element(value: Any, what: str) -> str:
    return escape(render(value, what), ",()") or "'"  # an empty text is marked: ("",) is not ()


def escape(text: str, also: str = "") -> str:
    """Return text in which no character of `also`, no brace and no wildcard stands for itself."""
    if text.isalnum():
        return text
    return "".join(
        "".join(f"%{byte:02X}" for byte in char.encode()) if char in _ALWAYS or char in also else char for char in text
    )


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    """The parameter."""
    path: str
    """The parameter with its attributes: `user.id`."""
    spec: str
    conversion: str | None


class Template:
    """A key, or a tag, with fields. `names` are what its fields may name; a wrong one is a `ConfigError` at once."""

    __slots__ = ("_closed_by", "_fields", "_literals", "text")

    def __init__(self, text: str, names: Iterable[str] | None, what: str = "template", *, joined: bool = False) -> None:
        if not isinstance(text, str) or not text:  # type: ignore[redundant-expr]  # callers may be untyped
            raise ConfigError(f'{what}: a text such as "user:{{user_id}}", not {text!r}')
        try:
            text.encode()
            parts = list(_FORMATTER.parse(text))
        except ValueError as error:
            raise ConfigError(f"{what} {text!r}: {error}") from None
        self.text = text
        self._literals: list[str] = []
        self._fields: list[_Field] = []
        literal_so_far = ""
        for literal, field, spec, conversion in parts:
            literal_so_far += literal
            if field is not None:
                self._literals.append(literal_so_far)
                literal_so_far = ""
                self._fields.append(_field(field, spec or "", conversion, names, f"{what} {text!r}"))
        self._literals.append(literal_so_far)
        self._closed_by = "".join({literal[:1] for literal in self._literals[1:-1]})
        for literal in () if joined else self._literals[1:-1]:
            if not literal or literal[0].isalnum() or literal[0] in "%'~(":
                raise ConfigError(
                    f"{what} {text!r}: put a separator such as ':' between two fields, so that no two keys meet"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that the fields name, in order, each once."""
        return tuple(dict.fromkeys(field.name for field in self._fields))

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    def make(self, values: Mapping[str, Any]) -> str:
        """Return the key or tag for these values; `KeyRejected` for a value that cannot be part of one."""
        out = [self._literals[0]]
        for field, literal in zip(self._fields, self._literals[1:], strict=True):
            what = f"{self.text!r}, field {field.path}"
            value = values[field.name]
            if field.path != field.name:
                try:
                    value, _ = _FORMATTER.get_field(field.path, (), values)
                except (AttributeError, LookupError, TypeError) as error:
                    raise KeyRejected(f"{what}: {error}") from error
            if field.conversion or field.spec:
                text = format(_FORMATTER.convert_field(value, field.conversion), field.spec)
            else:
                text = render(value, what)
            out.append(escape(text, self._closed_by))
            out.append(literal)
        return "".join(out)


def _field(path: str, spec: str, conversion: str | None, names: Iterable[str] | None, what: str) -> _Field:
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    if not name.isidentifier():
        raise ConfigError(f"{what}: a field names a parameter, as in {{user_id}}, not {{{path}}}")
    if "{" in spec:
        raise ConfigError(f"{what}: a format inside a format is not read; write it out")
    if names is not None and name not in (valid := list(names)):
        raise unknown(f"parameter in {what}:", name, valid or ["none: the function takes no parameters"])
    return _Field(name, path, spec, conversion)


class Tags:
    """The tags of a family: plain names, and templates over its arguments and over `result`, the value.

    A field is written as `format` writes it, so that `delete(tags=["team:7"])` means what it says; two values that
    look the same share a tag, which can only end too much.
    """

    __slots__ = ("_of_arguments", "_of_result", "plain")

    def __init__(self, tags: tuple[str, ...], names: Iterable[str]) -> None:
        valid = (*names, "result")
        self._of_arguments: list[str] = []
        self._of_result: list[str] = []
        plain: list[str] = []
        for tag in tags:
            used = Template(tag, valid, "tag", joined=True).names
            if not used:
                plain.append(tag.format())  # a doubled brace is one, as in the others
            else:
                (self._of_result if "result" in used else self._of_arguments).append(tag)
        self.plain = tuple(plain)
        """Those without a field."""

    @property
    def of_result(self) -> bool:
        """Whether any of them needs the value."""
        return bool(self._of_result)

    def before(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the tags that are known from the arguments alone."""
        return tuple(tag.format_map(values) for tag in self._of_arguments)

    def after(self, values: Mapping[str, Any], result: Any) -> tuple[str, ...]:
        """Return the tags that the value brings with it."""
        if not self._of_result:
            return ()
        return tuple(tag.format_map({**values, "result": result}) for tag in self._of_result)
