"""Names: what a key is called inside, bounded in length, and patterns over names.

A text of up to 200 bytes is its own name. A longer text, and binary keys, become a digest that no text equals.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias

from hotset.errors import KeyRejected

MAX_BYTES = 200
"""Memcached takes names of 250 bytes; this leaves room for a prefix and a namespace of fair length."""
_READABLE = 60
"""So many characters of a digested key stay readable, for people and for patterns such as "user:*"."""


class Digest:
    """The name of a key that is too long, or binary: its first characters and a hash of all of it.

    A type of its own, so that no text can be mistaken for it: a key made from user input cannot take its place.
    """

    __slots__ = ("_hash", "text", "whole")

    def __init__(self, kind: str, readable: str, content: bytes) -> None:
        digest = blake2b(content, digest_size=20, person=kind.encode()).hexdigest()
        self.text = f"{readable}%~{digest}"
        self._hash = hash(("hotset digest", self.text))
        self.whole = content.decode(errors="replace")
        """The key itself as text, for patterns: an ending by pattern must not miss it."""

    @classmethod
    def restored(cls, text: str) -> Digest:
        """Return the digest that has this text, as it is found in a store; the whole key is not known there."""
        digest = cls.__new__(cls)
        digest.text = digest.whole = text
        digest._hash = hash(("hotset digest", text))  # noqa: SLF001  its own class
        return digest

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return type(other) is Digest and other.text == self.text

    def __repr__(self) -> str:
        return self.text


Name: TypeAlias = str | Digest


def name_of(key: object) -> Name:
    """Return the name of a key, or raise `KeyRejected`.

    Equal keys have equal names in every process; different keys, text or bytes, have different names.
    """
    if type(key) is str:
        if len(key) <= MAX_BYTES and key.isascii():
            return key
        try:
            content = key.encode()
        except UnicodeEncodeError:
            raise KeyRejected(f"key {key!r} holds a lone surrogate, which no store can hold") from None
        return key if len(content) <= MAX_BYTES else Digest("text", key[:_READABLE], content)
    if isinstance(key, str):
        return name_of(str.__str__(key))  # the content, whatever the subclass makes of __str__
    if isinstance(key, Digest):
        return key
    if isinstance(key, bytes):
        return Digest("bytes", "", bytes(key))
    raise rejected(key)


def rejected(key: object) -> KeyRejected:
    """Return the error for what cannot be a key."""
    if isinstance(key, list | tuple | set | frozenset | dict):
        hint = "; for several keys use delete(*keys), expire(*keys) or one of the *_many calls"
    elif isinstance(key, int | float) and not isinstance(key, bool):
        hint = f'; a key with its kind in it, such as "user:{key}", is one that others can read'
    else:
        hint = ""
    return KeyRejected(f"a key is text or bytes, not {type(key).__name__} {key!r:.80}{hint}")


def text_of(name: Name) -> str:
    """Return a name as text, for events, patterns and people."""
    return name if isinstance(name, str) else name.text


def whole_text_of(name: Name) -> str:
    """Return the whole key as text, for patterns."""
    return name if isinstance(name, str) else name.whole


def pattern(match: object) -> re.Pattern[str]:
    r"""Return a compiled glob over whole names: `*`, `?`, `[abc]`, `[a-z]`, `[^a]`, and `\` before a literal.

    The same as in Redis' SCAN and KEYS, so that a pattern means the same in every tier.
    """
    if not isinstance(match, str) or not match:
        raise KeyRejected(f'match: a pattern such as "user:*", not {match!r}')
    return _compiled(match)


_IN_SET = re.compile("(.)-(.)|.", re.DOTALL)


def _in_set(found: re.Match[str]) -> str:
    """Return a character of a set, or a range of two, as `re` writes it; either end may come first, as in Redis."""
    if not found[1]:
        return re.escape(found[0])
    first, last = sorted((found[1], found[2]))
    return f"{re.escape(first)}-{re.escape(last)}"


_ANY = ".*"


@lru_cache(maxsize=256)
def _compiled(match: str) -> re.Pattern[str]:
    return re.compile("".join(_tokens(match)), re.DOTALL)


@lru_cache(maxsize=256)
def _tokens(match: str) -> tuple[str, ...]:
    """Return a glob as regular expressions, each for one character, or `_ANY` for any number."""
    out: list[str] = []
    at = 0
    while at < len(match):
        char = match[at]
        at += 1
        if char == "*":
            out.append(_ANY)
        elif char == "?":
            out.append(".")
        elif char == "\\" and at < len(match):
            out.append(re.escape(match[at]))
            at += 1
        elif char == "[" and (end := match.find("]", at)) > at:
            body = match[at:end]
            negated = body.startswith("^") and len(body) > 1
            inside = _IN_SET.sub(_in_set, body[1:] if negated else body)
            out.append(f"[{'^' if negated else ''}{inside}]")
            at = end + 1
        else:
            out.append(re.escape(char))
    return tuple(out)


def may_match(matches: re.Pattern[str], match: str, name: Name) -> bool:
    """Tell whether a key matches the glob `match`, as far as its name tells; `matches` is that glob compiled.

    Of a digest found in a store only the first characters are known: an ending by pattern must not miss it, so it
    matches if there is any longer key with that beginning that does.
    """
    if isinstance(name, str) or name.whole != name.text:
        return matches.fullmatch(whole_text_of(name)) is not None
    tokens = _tokens(match)
    at = _past_stars(tokens, {0})
    for char in name.text.rpartition("%~")[0]:
        used = {
            place + (tokens[place] != _ANY)
            for place in at
            if place < len(tokens) and re.match(tokens[place], char, re.DOTALL)
        }
        at = _past_stars(tokens, used)
    return any(place < len(tokens) for place in at)


def _past_stars(tokens: tuple[str, ...], places: set[int]) -> set[int]:
    """Return the places in a pattern that are reached without another character."""
    reached = set(places)
    for place in places:
        while place < len(tokens) and tokens[place] == _ANY:
            place += 1  # noqa: PLW2901  it walks on from there
            reached.add(place)
    return reached
