# mypy: disable-error-code="import-untyped, untyped-decorator"
"""What Celery makes of a cached function, and hotset of a task."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest
from celery import Celery, shared_task

from hotset import Cache, ConfigError, KeyRejected

app = Celery("eager", set_as_current=False)
app.conf.update(task_always_eager=True, task_eager_propagates=True)
cache = Cache(namespace="eager")
loads: list[int] = []


@app.task
@cache.cached("user:{user_id}")
def load_user(user_id: int) -> dict[str, int]:
    """A user."""
    loads.append(user_id)
    return {"id": user_id}


@app.task
@cache.cached("rates")
def rates() -> float:
    """Without an argument."""
    return 1.5


@app.task(bind=True)
@cache.cached("bound:{user_id}")
def bound(self: Any, user_id: int) -> str:
    """Bound to itself."""
    return str(self.name)


def test_a_task_over_a_cached_function_is_called_and_sent_through_the_cache() -> None:
    """Called here or sent, it loads once; its entry is ended by the function that it runs."""
    loads.clear()
    cache.clear()
    assert load_user(7) == load_user.delay(7).get() == load_user.delay(user_id=7).get() == {"id": 7}
    assert loads == [7]
    assert load_user.run.delete(7) == 1
    assert load_user.delay(7).get() == {"id": 7}
    assert loads == [7, 7]
    assert bound.delay(1).get() == bound.name == cache.get("bound:1")


def test_a_task_is_named_and_documented_as_its_function_is() -> None:
    """Name, module, docstring; and it is pickled by name, as tasks are."""
    assert load_user.name == f"{__name__}.load_user"
    assert (load_user.__name__, load_user.__doc__) == ("load_user", "A user.")
    assert pickle.dumps(load_user._get_current_object())


@pytest.mark.parametrize("arguments", [(), (1, 2)])
@pytest.mark.parametrize("task", [load_user, bound], ids=["load_user", "bound"])
def test_wrong_arguments_are_refused_where_the_task_is_sent(task: Any, arguments: tuple[int, ...]) -> None:
    """Celery checks them against the function's own parameters, not against those of a cached function."""
    with pytest.raises(TypeError, match=r"missing 1 required positional argument|positional arguments? but"):
        task.apply_async(arguments)


def test_a_task_without_arguments_or_with_named_ones_only_can_be_sent() -> None:
    """No first argument is asked for that the function does not have."""
    assert rates.delay().get() == 1.5
    with pytest.raises(TypeError):
        load_user.delay(user=7)


def test_a_shared_task_is_cached() -> None:
    """As one of the app's own."""

    @shared_task
    @cache.cached("shared:{x}")
    def double(x: int) -> int:
        return 2 * x

    assert app.tasks[double.name](4) == 8
    assert cache.get("shared:4") == 8


def test_the_cache_above_the_task_is_refused_with_the_right_order() -> None:
    """What is sent would run the function behind the cache's back."""

    def plain(x: int) -> int:
        return x

    for task in (app.task(plain, name="plain"), shared_task(plain)):
        for decorate in (cache.cached("plain:{x}"), cache.cached):
            with pytest.raises(ConfigError, match=r"plain is a task already.*write @app\.task above @cache\.cached"):
                decorate(task)


def test_self_is_no_key() -> None:
    """Without a template that names arguments a bound task would have its own object in the key."""

    def load(self: Any, user_id: int) -> int:
        return user_id

    with pytest.raises(ConfigError, match=r'as in @cached\("load:\{user_id\}"\): its self is an object, no key'):
        cache.cached(load)
    with pytest.raises(ConfigError, match="names no parameter"):
        cache.cached("users")(load)


def test_a_request_as_an_argument_is_no_key() -> None:
    """An object in the key is refused, with what to write instead."""
    with pytest.raises(KeyRejected, match=r"cannot be part of a key; name one of its attributes"):
        load_user(object())


def test_without_celery_the_door_says_what_to_install() -> None:
    """An ImportError that names the extra."""
    program = "import sys; sys.modules['celery'] = None; import hotset.integrations.celery"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'hotset[celery]'" in done.stderr.splitlines()[-1]
