"""Classes as values: by registered name or known type, exactly, and nothing else."""

from __future__ import annotations

import collections
import enum
import sys
from collections import OrderedDict
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar

import attrs
import msgspec
import pydantic
import pytest

from hotset.entry.codec import Msgpack
from hotset.entry.registry import Registry
from hotset.errors import CodecError, ConfigError

if TYPE_CHECKING:
    from nowhere import Nothing  # type: ignore[import-not-found]  # a name that only type checkers have

T = TypeVar("T")


@dataclass
class Tally:
    """Counts how often it is made, and holds what __init__ does not take."""

    start: int
    extra: InitVar[int] = 0
    total: int = field(init=False, default=0)
    made = 0

    def __post_init__(self, extra: int) -> None:
        type(self).made += 1
        self.total = self.start + extra

    @cached_property
    def double(self) -> int:
        """Kept beside the fields once it was asked for."""
        return self.total * 2


@dataclass(frozen=True, slots=True)
class Leaf:
    size: int


@dataclass
class Branch:
    leaf: Leaf
    never: Nothing | None = None
    loose: str = None  # type: ignore[assignment]  # as people write it


@dataclass
class Bough(Branch):
    pass


@dataclass
class Box(Generic[T]):
    content: T


class Point(msgspec.Struct):
    leaf: Leaf
    seen: int = 0

    def __post_init__(self) -> None:
        self.seen += 1


@attrs.define
class Part:
    leaf: Leaf
    _hidden: int = attrs.field(default=1, converter=int)


class Model(pydantic.BaseModel):
    leaf: Leaf
    names: list[str] = []
    _secret: int = pydantic.PrivateAttr(default=1)

    @pydantic.field_validator("names")
    @classmethod
    def more(cls, names: list[str]) -> list[str]:
        """A validator that would add one more at each validation."""
        return [*names, "more"]


class Page(pydantic.BaseModel):
    leaf: Leaf = pydantic.Field(alias="Leaf")
    model_config = pydantic.ConfigDict(populate_by_name=True)


class Pair(NamedTuple):
    leaf: Leaf
    other: int = 0


class Colour(enum.Enum):
    RED = 1


class Leaves(list[Leaf]):
    pass


Alias = NewType("Alias", Leaf)
VALUES: list[Any] = [
    Branch(Leaf(1)),
    Box(Leaf(1)),
    Point(Leaf(1)),
    Part(Leaf(1), 7),
    Model(leaf=Leaf(1), names=["a"]),
    Pair(Leaf(1)),
    Leaves([Leaf(1)]),
]


def name(value: object) -> str:
    """The id of a parameter."""
    return type(value).__name__


@pytest.mark.parametrize("value", VALUES, ids=name)
def test_a_known_type_leads_to_all_its_classes(value: Any) -> None:
    """Its fields' classes too; the types say enough, without any registration."""
    hint = Box[Leaf] if isinstance(value, Box) else type(value)
    for codec, whole, of in ((Msgpack(), value, hint), (Msgpack(), [value, None], list[hint | None])):  # type: ignore[valid-type]  # made here
        back = codec.decode(codec.encode(whole, "k", of), of)
        assert back == whole
        first = back[0] if isinstance(back, list) and not isinstance(back, Leaves) else back
        assert type(first) is type(value)


@pytest.mark.parametrize("value", VALUES, ids=name)
def test_without_registration_or_type_it_is_refused(value: Any) -> None:
    """When it is kept, and when it is read; the error names a class."""
    with pytest.raises(CodecError, match=f"{type(value).__name__} is not registered"):
        Msgpack().encode(value, "k")
    hint = Box[Leaf] if isinstance(value, Box) else type(value)
    body = Msgpack().encode(value, "k", hint)
    with pytest.raises(CodecError, match=r"no class is registered as 'tests\.unit\..*, and no type= leads to it"):
        Msgpack().decode(body)


@pytest.mark.parametrize(
    "hint",
    [
        Leaf,
        Leaf | None,
        Annotated[Leaf, ["no hash"]],
        Alias,
        dict[str, tuple[Leaf, ...]],
        Branch,
        Leaves,
        Box[Leaf],
        Page,
    ],
    ids=str,
)
def test_every_way_in_which_a_type_names_a_class(hint: Any) -> None:
    """As an argument, a member of a union, a field, a base, under another name."""
    codec = Msgpack()
    assert codec.decode(codec.encode([Leaf(1)], "k", hint), hint) == [Leaf(1)]


def test_a_choice_of_members_names_their_enum() -> None:
    """Literal[Colour.RED] leads to Colour."""
    hint = Literal[Colour.RED]
    assert Msgpack().decode(Msgpack().encode(Colour.RED, "k", hint), hint) is Colour.RED


def test_a_subclass_that_the_type_does_not_name_is_refused() -> None:
    """A Bough is a Branch, but the reader could not know which one it was."""
    with pytest.raises(CodecError, match="Bough"):
        Msgpack().encode(Bough(Leaf(1)), "k", Branch)


def test_an_instance_is_not_initialised_again() -> None:
    """Its state comes back, past __init__, __post_init__, converters and validators."""
    codec = Msgpack()
    tally, point, model = Tally(1, 5), Point(Leaf(1)), Model(leaf=Leaf(1), names=["a"])
    model._secret = 9
    assert tally.double == 12
    made = Tally.made
    back = codec.decode(codec.encode(tally, "k", Tally), Tally)
    assert (back.total, back.double, Tally.made) == (6, 12, made)
    assert codec.decode(codec.encode(point, "k", Point), Point).seen == 1
    again = codec.decode(codec.encode(model, "k", Model), Model)
    assert (again.names, again._secret, again.model_fields_set) == (["a", "more"], 9, {"leaf", "names"})


def test_what_an_annotation_does_not_say_is_kept_as_it_is() -> None:
    """Annotations are no promise of Python's: a None in a `str` field, a tuple for a list."""
    codec = Msgpack()
    value = Branch(Leaf(1))
    value.loose = (1, 2)  # type: ignore[assignment]  # on purpose
    assert codec.decode(codec.encode(value, "k", Branch), Branch).loose == (1, 2)


def test_a_field_that_is_not_set_stays_so() -> None:
    """A dataclass without one of its fields comes back without it."""
    value = Branch(Leaf(1))
    del value.leaf
    back = Msgpack().decode(Msgpack().encode(value, "k", Branch), Branch)
    assert "leaf" not in vars(back)


@pytest.mark.parametrize("value", [Branch(Leaf(1)), Leaves(), Bough(Leaf(1))], ids=name)
def test_what_holds_more_than_its_fields_is_refused(value: Any) -> None:
    """Rather than losing it on the way; the error names what it is."""
    codec = Msgpack()
    codec.encode(value, "k", type(value))
    value.note = 1
    with pytest.raises(CodecError, match="note"):
        codec.encode(value, "k", type(value))


def changed(*fields: tuple[str, Any]) -> Any:
    """A class of one name with these fields."""
    from dataclasses import make_dataclass

    return make_dataclass("Thing", fields)


@pytest.mark.parametrize(
    "now", [(("a", str),), (("a", int), ("b", int)), (("b", int),), (), (("a", list[int]),)], ids=repr
)
def test_bytes_of_a_class_that_has_changed_are_not_read(now: tuple[tuple[str, Any], ...]) -> None:
    """A field more, one less, another type: the entry is a miss, and no instance is half of each."""
    before, after = Registry(), Registry()
    thing = before.register(changed(("a", int)), "thing")
    body = Msgpack(before).encode(thing(1), "k")
    after.register(changed(*now), "thing")
    with pytest.raises(CodecError, match="has changed"):
        Msgpack(after).decode(body)


def test_a_class_that_only_looks_otherwise_has_not_changed() -> None:
    """The order of fields, and another spelling of the same type, make no difference."""
    from typing import List, Optional, Union  # noqa: UP035  the spelling of old

    before, after = Registry(), Registry()
    thing = before.register(changed(("a", Optional[int]), ("b", List[Union[str, int]])), "thing")  # noqa: UP006, UP007, UP045
    other = after.register(changed(("b", list[int | str]), ("a", None | int)), "thing")
    body = Msgpack(before).encode(thing(1, ["x"]), "k")
    assert Msgpack(after).decode(body) == other(["x"], 1)


def test_nothing_is_imported_because_bytes_say_so() -> None:
    """A class of a module that is not loaded, though it is there, is an error."""
    registry = Registry()
    registry.register(Leaf, "wave.Wave_read")
    body = Msgpack(registry).encode(Leaf(1), "k")
    loaded = "wave" in sys.modules
    with pytest.raises(CodecError, match=r"wave\.Wave_read"):
        Msgpack().decode(body)
    assert ("wave" in sys.modules) == loaded


def test_registering_again_changes_nothing_and_a_reloaded_class_takes_over() -> None:
    """As when a module is reloaded: same module, same name, another object."""
    registry = Registry()
    old, new = changed(("a", int)), changed(("a", int))
    assert registry.register(old) is old
    assert registry.register(old) is old
    body = Msgpack(registry).encode(old(1), "k")
    registry.register(new)
    assert type(Msgpack(registry).decode(body)) is new


def test_a_name_stands_for_one_class() -> None:
    """And a class has one name; the error says who has it."""
    registry = Registry()
    registry.register(Leaf, "leaf")
    with pytest.raises(ConfigError, match=r"'leaf' is taken by .*Leaf"):
        registry.register(Branch, "leaf")
    with pytest.raises(ConfigError, match="has a name already, 'leaf'"):
        registry.register(Leaf, "other")


def test_a_known_type_does_not_take_a_registered_name() -> None:
    """What another class is registered as is not written for a class that happens to be called so."""
    registry = Registry()
    registry.register(Leaf, f"{Branch.__module__}.{Branch.__qualname__}")
    with pytest.raises(CodecError, match="Branch"):
        Msgpack(registry).encode(Branch(Leaf(1)), "k", Branch)


class Plain:
    pass


@pytest.mark.parametrize(
    "cls, words",
    [
        (Plain, "only an Enum, a dataclass"),
        (int, "kept as it is"),
        (object, "cannot be registered"),
        (collections.defaultdict, "holds more than dict"),
        (collections.deque, "cannot be registered"),
        (Leaf(1), "a class"),
        (list[int], "a class"),
        ("Leaf", "a class"),
    ],
    ids=str,
)
def test_what_cannot_be_registered(cls: Any, words: str) -> None:
    """The error says what can."""
    with pytest.raises(ConfigError, match=words):
        Registry().register(cls)


@pytest.mark.parametrize("given", ["", 7, "a\nb", "x" * 201, "\ud800", b"leaf"], ids=repr)
def test_what_is_no_name(given: Any) -> None:
    """The error says what would be one."""
    with pytest.raises(ConfigError, match="1 to 200 printable characters"):
        Registry().register(Leaf, given)


@pytest.mark.parametrize("cls", [OrderedDict, collections.Counter])
def test_a_dict_of_another_kind_can_be_registered(cls: Any) -> None:
    """With its order, also where it keeps one of its own."""
    registry = Registry()
    registry.register(cls)
    value = cls({"a": 1, "b": 2})
    if cls is OrderedDict:
        value.move_to_end("a")
    back = Msgpack(registry).decode(Msgpack(registry).encode(value, "k"))
    assert (type(back), back, list(back)) == (cls, value, list(value))
