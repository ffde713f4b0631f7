"""Fragments of templates, with Jinja alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jinja2 import DictLoader, Environment, TemplateSyntaxError
from markupsafe import Markup

from hotset import Cache, ConfigError, KeyRejected
from hotset.integrations.jinja import Fragments, add_fragments, fragment_tag
from hotset.testing import isolated


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache of the process."""
    with Cache() as cache:
        yield cache


class Counted:
    """A value that counts how often it was shown."""

    def __init__(self, text: str = "x") -> None:
        self.text = text
        self.shown = 0

    def __call__(self) -> str:  # noqa: D102
        self.shown += 1
        return f"{self.text}{self.shown}"


def environment(cache: Cache, templates: dict[str, str] | None = None, **how: Any) -> Environment:
    """An environment whose fragments are kept in `cache`."""
    made = Environment(loader=DictLoader(templates or {}), **{"autoescape": True, **how})
    add_fragments(made, cache)
    return made


def test_a_fragment_is_rendered_once(cache: Cache) -> None:
    """For its name and its arguments; the rest of the template each time."""
    page = environment(cache).from_string("{{ a() }} {% cache 'box', n %}{{ b() }}{% endcache %}")
    a, b = Counted("a"), Counted("b")
    assert [page.render(a=a, b=b, n=n) for n in (1, 1, 2)] == ["a1 b1", "a2 b1", "a3 b2"]


def test_a_fragment_lives_for_its_ttl_and_ends_with_its_tags(cache: Cache) -> None:
    """Its options are expressions of the template."""
    page = environment(cache).from_string("{% cache 'box', ttl=life, tags=['users', who] %}{{ x() }}{% endcache %}")
    x = Counted()
    with isolated(cache) as clock:

        def shown() -> str:
            return page.render(x=x, life="5m", who="ada")

        assert (shown(), shown()) == ("x1", "x1")
        clock.advance("6m")
        assert shown() == "x2"
        cache.delete(tags=["ada"])
        assert shown() == "x3"
        cache.delete(tags=[fragment_tag("box")])
        assert shown() == "x4"
        cache.delete(tags=["other"])
        assert shown() == "x4"


@pytest.mark.parametrize(
    "one, other",
    [
        (("a", 1), ("a", "1")),
        (("a", "b:c"), ("a", "b", "c")),
        (("a:b",), ("a", "b")),
        (("a", None), ("a", "None")),
        (("a", True), ("a", 1)),
        (("a", ""), ("a",)),
        (("a", ("b", "c")), ("a", "b", "c")),
        (("a", ("b,c",)), ("a", ("b", "c"))),
    ],
)
def test_names_and_arguments_never_meet(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Two fragments that are not asked for by the same name and equal arguments are two."""
    assert fragment_tag(*one) != fragment_tag(*other)


def test_two_bodies_of_one_name_are_two_fragments(cache: Cache) -> None:
    """Another template that took the same name is not answered with this one's text, nor is the next release."""
    made = environment(cache)
    old, new = (
        made.from_string(f"{{% cache 'box', 1 %}}{body} {{{{ x() }}}}{{% endcache %}}") for body in ("old", "new")
    )
    x = Counted()
    assert [page.render(x=x) for page in (old, new, old, new)] == ["old x1", "new x2", "old x1", "new x2"]
    cache.delete(tags=[fragment_tag("box", 1)])
    assert [page.render(x=x) for page in (old, new)] == ["old x3", "new x4"]


def test_autoescape_is_kept(cache: Cache) -> None:
    """What was escaped is not escaped again; the same body in a template that does not escape is another fragment."""
    made = environment(
        cache, {"page": "{% cache 'box' %}<b>{{ text }}</b>{% endcache %}"}, autoescape=lambda name: True
    )
    html = made.get_template("page")
    assert [html.render(text="<") for _ in range(2)] == ["<b>&lt;</b>"] * 2
    plain = environment(cache, {"page": "{% cache 'box' %}<b>{{ text }}</b>{% endcache %}"}, autoescape=False)
    assert [plain.get_template("page").render(text="<") for _ in range(2)] == ["<b><</b>"] * 2
    within = made.from_string("{% set kept %}{% cache 'box' %}<b>{{ text }}</b>{% endcache %}{% endset %}{{ kept }}")
    assert within.render(text=Markup("&")) == "<b>&lt;</b>"


def test_what_ends_a_fragment_ends_those_around_it(cache: Cache) -> None:
    """Nested fragments: no outer one goes on showing what has ended, however it came to hold it."""
    page = environment(cache).from_string(
        "{% cache 'out' %}o{{ o() }}{% cache 'mid' %}m{{ m() }}{% cache 'in', tags=['deep'] %}{{ i() }}"
        "{% endcache %}{% endcache %}{% endcache %}"
    )
    o, m, i = Counted(""), Counted(""), Counted("i")

    def shown() -> str:
        return page.render(o=o, m=m, i=i)

    assert (shown(), shown()) == ("o1m1i1", "o1m1i1")
    cache.delete(tags=[fragment_tag("out")])
    assert shown() == "o2m1i1"  # the inner ones were there
    cache.delete(tags=["deep"])
    assert shown() == "o3m2i2"  # and have ended with what the outer one had taken from the cache
    cache.delete(tags=[fragment_tag("mid")])
    assert shown() == "o4m3i2"


def test_one_render_for_all_who_ask(cache: Cache) -> None:
    """Ten threads that want a fragment at once wait for the one that renders it."""
    page = environment(cache).from_string("{% cache 'box' %}{{ slow() }}{% endcache %}")
    together = threading.Barrier(10)
    go = threading.Event()
    runs: list[int] = []

    def slow() -> str:
        runs.append(1)
        go.wait(10)
        return "done"

    def ask() -> str:
        together.wait(10)
        go.set()
        return page.render(slow=slow)

    with ThreadPoolExecutor(10) as pool:
        assert {each.result(10) for each in [pool.submit(ask) for _ in range(10)]} == {"done"}
    assert len(runs) == 1


def test_an_error_in_the_body_is_not_kept(cache: Cache) -> None:
    """It is raised as the template raised it, and the next render tries anew."""
    page = environment(cache).from_string("{% cache 'box' %}{{ 1 // n }}{% endcache %}")
    with pytest.raises(ZeroDivisionError):
        page.render(n=0)
    assert page.render(n=1) == "1"


@pytest.mark.parametrize("around", ["{}", "{{% if true %}}{}{{% endif %}}"])
def test_a_block_in_a_fragment_is_refused(around: str) -> None:
    """What a child template puts into the block is no part of the fragment's source: its sisters would show it."""
    environment = Environment(autoescape=True)
    add_fragments(environment, Cache())
    body = around.format("{% block main %}{% endblock %}")
    with pytest.raises(TemplateSyntaxError, match=r"write \{% cache %\} inside the block"):
        environment.from_string(f'{{% cache "x" %}}{body}{{% endcache %}}')


@pytest.mark.parametrize(
    "source, message",
    [
        ("one\ntwo\n{% cache %}{% endcache %}", 'needs a name, as in {% cache "sidebar"'),
        ("one\ntwo\n{% cache ttl='5m' %}{% endcache %}", "needs a name"),
        ("one\ntwo\n{% cache 'box', tll='5m' %}{% endcache %}", "unknown option 'tll': did you mean 'ttl'"),
        ("one\ntwo\n{% cache 'box', ttl='5m', user.id %}{% endcache %}", "the arguments come first"),
        ("one\ntwo\n{% cache 'box' user.id %}{% endcache %}", "expected token ','"),
    ],
)
def test_a_wrong_tag_is_a_syntax_error_that_names_the_line(cache: Cache, source: str, message: str) -> None:
    """When the template is compiled, not when it is shown."""
    with pytest.raises(TemplateSyntaxError) as caught:
        environment(cache).from_string(source)
    assert message in str(caught.value)
    assert caught.value.lineno == 3


def test_what_is_no_name_and_no_argument_is_refused(cache: Cache) -> None:
    """An object is no part of a key; tags are a list; and templates need a cache."""
    made = environment(cache)
    with pytest.raises(KeyRejected, match="a fragment has a name"):
        made.from_string("{% cache 7 %}{% endcache %}").render()
    with pytest.raises(KeyRejected, match="argument 1 of fragment 'box': a Counted cannot be part of a key"):
        made.from_string("{% cache 'box', user %}{% endcache %}").render(user=Counted())
    with pytest.raises(ConfigError, match="tags: a list of names"):
        made.from_string("{% cache 'box', tags='users' %}{% endcache %}").render()
    without = Environment(extensions=[Fragments], autoescape=True)
    with pytest.raises(ConfigError, match=r"write add_fragments\(environment, cache\)"):
        without.from_string("{% cache 'box' %}{% endcache %}").render()


def test_async_templates_have_fragments_too(cache: Cache) -> None:
    """Awaited bodies, one render for all tasks, nested tags as in plain templates."""
    page = environment(cache, enable_async=True).from_string(
        "{% cache 'out' %}{{ o() }}{% cache 'in', tags=['deep'] %}<{{ slow() }}>{% endcache %}{% endcache %}"
    )
    runs: list[int] = []
    o = Counted("o")

    async def slow() -> str:
        runs.append(1)
        await asyncio.sleep(0)
        return f"<{len(runs)}"

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(page.render_async(slow=slow, o=o) for _ in range(20)))

    assert set(asyncio.run(all_at_once())) == {"o1<&lt;1>"}
    assert page.render(slow=slow, o=o) == "o1<&lt;1>"
    cache.delete(tags=["deep"])
    assert set(asyncio.run(all_at_once())) == {"o2<&lt;2>"}
