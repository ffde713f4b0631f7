"""Fragments of Jinja templates: `{% cache "sidebar", user.id, ttl="5m", tags=["users"] %} … {% endcache %}`.

What a body makes is kept under its name, its arguments and its own source, so that neither another template that took
the same name nor the next release of this one is answered with it. Name and arguments are a tag of it, which ends every
fragment that was made under them; the tags of a fragment are also those of what it stands in, fragment or page.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

from hotset.core.load import loading
from hotset.entry.template import escape, render
from hotset.errors import ConfigError, KeyRejected, unknown
from hotset.options import ATTENDED, NAMES, attended
from hotset.options import tags as tag_names

try:
    from jinja2 import nodes, pass_eval_context
    from jinja2.ext import Extension
    from markupsafe import Markup
except ImportError as missing:
    raise ImportError("hotset.integrations.jinja needs Jinja: pip install jinja2") from missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment
    from jinja2.nodes import EvalContext
    from jinja2.parser import Parser

    from hotset.cache import Cache

_Made: TypeAlias = "tuple[str, tuple[str, ...]]"
"""What is kept: the text of a fragment, and its tags with those of the fragments inside it."""


def fragment_tag(name: str, *arguments: Any) -> str:
    """Return the tag that every fragment of this name and these arguments carries.

    Example:
        >>> fragment_tag("sidebar", 7)
        'fragment:sidebar:7'
    """
    if not isinstance(name, str) or not name:  # type: ignore[redundant-expr]  # templates are untyped
        raise KeyRejected(f'a fragment has a name, as in {{% cache "sidebar", user.id %}}; not {name!r}')
    parts = (name, *(render(each, f"argument {at} of fragment {name!r}") for at, each in enumerate(arguments, 1)))
    return ":".join(["fragment", *(escape(part, ":") for part in parts)])


def add_fragments(environment: Environment, cache: Cache) -> None:
    """Have the templates of an environment keep their fragments in `cache`."""
    environment.add_extension(Fragments)
    environment.hotset = cache  # type: ignore[attr-defined]


class Fragments(Extension):
    """The extension that reads `{% cache %}`; `add_fragments(environment, cache)` gives it its cache."""

    tags = {"cache"}  # noqa: RUF012  as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the call that stands for a fragment."""
        line = next(parser.stream).lineno
        arguments, options = _arguments(parser, line)
        body = parser.parse_statements(("name:endcache",), drop_needle=True)
        for block in body:
            if isinstance(block, nodes.Block) or block.find(nodes.Block) is not None:
                parser.fail(
                    "{% cache %} around a {% block %}: one child's block would be shown in all that extend this; "
                    "write {% cache %} inside the block",
                    line,
                )
        source = blake2b(repr(body).encode(errors="surrogatepass"), digest_size=10).hexdigest()
        fixed: list[nodes.Expr] = [nodes.Const(source), nodes.List(arguments)]
        call = self.call_method("fragment", fixed, options)
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    @pass_eval_context
    def fragment(
        self, context: EvalContext, source: str, arguments: list[Any], *, caller: Callable[[], Any], **options: Any
    ) -> Any:
        """Return a fragment, rendered once for all who ask for it at the time; in async templates, to be awaited."""
        cache: Cache | None = getattr(self.environment, "hotset", None)
        if cache is None:
            raise ConfigError("{% cache %}: these templates have no cache: write add_fragments(environment, cache)")
        name = fragment_tag(*arguments)
        own = (name, *tag_names(options.pop("tags", ())))
        kept = Markup if context.autoescape else str
        key = f"{name} {source}{'' if context.autoescape else ' plain'}"
        if self.environment.is_async:
            return self._await(cache, key, caller, kept, own, options)

        def body() -> _Made:
            return _made(caller(), own)

        return kept(_shown(cache.get_or_load(key, body, tags=own, **{**options, **ATTENDED})))

    async def _await(
        self, cache: Cache, key: str, caller: Callable[[], Any], kept: type[str], own: tuple[str, ...], options: Any
    ) -> str:
        async def body() -> _Made:
            return _made(await caller(), own)

        return kept(_shown(await cache.aio.get_or_load(key, body, tags=own, **{**options, **ATTENDED})))


def _made(text: Any, own: tuple[str, ...]) -> _Made:
    """Return what is to be kept of a fragment that has just been rendered."""
    return str(text), tuple(dict.fromkeys((*own, *loading().tags)))


def _shown(made: _Made) -> str:
    """Return the text of a fragment, once what it stands in ends with it too."""
    text, tags = made
    try:
        around = loading()
    except LookupError:  # it stands in nothing that is kept
        return text
    around.tags = tuple(dict.fromkeys((*around.tags, *tags)))
    return text


def _arguments(parser: Parser, line: int) -> tuple[list[nodes.Expr], list[nodes.Keyword]]:
    """Return the name and the arguments of a fragment, and its options."""
    arguments: list[nodes.Expr] = []
    options: list[nodes.Keyword] = []
    while parser.stream.current.type != "block_end":
        if arguments or options:
            parser.stream.expect("comma")
        word = parser.stream.current
        if word.type == "name" and parser.stream.look().type == "assign":
            parser.stream.skip(2)
            if word.value not in NAMES:
                parser.fail(f"{{% cache %}}: {unknown('option', word.value, NAMES)}", word.lineno)
            try:
                attended([word.value], "a fragment")
            except ConfigError as refused:
                parser.fail(f"{{% cache %}}: {refused}", word.lineno)
            options.append(nodes.Keyword(word.value, parser.parse_expression(), lineno=word.lineno))
        elif options:
            parser.fail("{% cache %}: the arguments come first, then the options such as ttl=", word.lineno)
        else:
            arguments.append(parser.parse_expression())
    if not arguments:
        parser.fail('{% cache %} needs a name, as in {% cache "sidebar", user.id, ttl="5m" %}', line)
    return arguments, options
