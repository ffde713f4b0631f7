"""Models that end their tags."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hotset import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hotset import Cache, Event
    from tests.integrations.django.conftest import Caches


@pytest.fixture
def ended(caches: Caches) -> Iterator[list[str]]:
    """The tags that have ended, in order."""
    told: list[str] = []
    cache: Cache = caches().hotset

    def heard(event: Event) -> None:
        told.extend(event.tags)

    forget = cache.on("ended", heard)
    yield told
    forget()


@pytest.fixture
def declare() -> Iterator[Callable[..., Callable[[], None]]]:
    """`invalidate_on_change`, taken back at the end."""
    from hotset.integrations.django import invalidate_on_change

    declared: list[Callable[[], None]] = []

    def declare(*args: Any, **kwargs: Any) -> Callable[[], None]:
        declared.append(invalidate_on_change(*args, **kwargs))
        return declared[-1]

    yield declare
    for take_back in declared:
        take_back()


def taken(ended: list[str]) -> list[str]:
    """Return what has ended since the last time."""
    found = sorted(ended)
    ended.clear()
    return found


def test_saving_and_deleting_end_the_tags(ended: list[str], declare: Any) -> None:
    """Each formatted with the instance; once, though declared twice; not any more when taken back."""
    from tests.integrations.django.shop.models import User

    take_back = declare(User, tags=["user:{instance.pk}", "users"])
    declare(User, tags=["user:{instance.pk}", "users"])
    user = User.objects.create(name="Ada")
    one = f"user:{user.pk}"
    assert taken(ended) == [one, "users"]
    user.save()
    assert taken(ended) == [one, "users"]
    user.delete()
    assert taken(ended) == [one, "users"]
    take_back()
    User.objects.create(name="Bob")
    assert taken(ended) == []


def test_they_end_after_the_commit_or_not_at_all(ended: list[str], declare: Any) -> None:
    """As every ending of the project's cache does."""
    from django.db import transaction

    from tests.integrations.django.shop.models import User

    declare(User, tags=["users"])
    with transaction.atomic():
        User.objects.create(name="Ada")
        assert taken(ended) == []
    assert taken(ended) == ["users"]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        User.objects.create(name="Bob")
        raise ZeroDivisionError
    assert taken(ended) == []


def test_relations_of_many_to_many_from_either_side(ended: list[str], declare: Any) -> None:
    """Adding, removing, setting and clearing: those whose books have changed, and no others."""
    from tests.integrations.django.shop.models import Book, User

    ada, bob, eve = (User.objects.create(name=name) for name in ("Ada", "Bob", "Eve"))
    one, two = Book.objects.create(title="One"), Book.objects.create(title="Two")
    declare(User, tags=["user:{instance.pk}"])
    of = lambda *users: sorted(f"user:{user.pk}" for user in users)  # noqa: E731
    ada.books.add(one)
    assert taken(ended) == of(ada)
    ada.books.add(one)
    assert taken(ended) in ([], of(ada))  # Django tells of an addition of nothing, or does not
    one.user_set.add(bob)
    assert taken(ended) == of(bob)
    one.user_set.set([ada, eve])
    assert taken(ended) == of(bob, eve)
    one.user_set.clear()
    assert taken(ended) == of(ada, eve)
    eve.books.set([one, two])
    taken(ended)
    eve.books.clear()
    assert taken(ended) == of(eve)
    declare(Book, tags=["book:{instance.pk}"])
    bob.books.set([one, two])
    assert taken(ended) == sorted([*of(bob), f"book:{one.pk}", f"book:{two.pk}"])
    bob.books.clear()
    assert taken(ended) == sorted([*of(bob), f"book:{one.pk}", f"book:{two.pk}"])


def test_relations_of_a_table_between_that_names_a_code(ended: list[str], declare: Any) -> None:
    """Its values are no primary keys: those that stand behind them end, and no others. Also between two of a kind."""
    from tests.integrations.django.shop.models import Book, Shelf

    Shelf.objects.create(code="another")
    shelf, book = Shelf.objects.create(code="7"), Book.objects.create(title="One")
    declare(Shelf, tags=["shelf:{instance.pk}"])
    one, other = f"shelf:{shelf.pk}", Shelf.objects.create(code=str(shelf.pk))
    taken(ended)
    book.shelf_set.add(shelf)
    assert taken(ended) == [one]
    shelf.books.clear()
    assert taken(ended) == [one]
    book.shelf_set.add(shelf)
    taken(ended)
    book.shelf_set.clear()
    assert taken(ended) == [one]
    both = sorted([one, f"shelf:{other.pk}"])
    shelf.beside.add(other)
    assert sorted(set(taken(ended))) == both
    other.beside.clear()
    assert sorted(set(taken(ended))) == both


def test_a_change_through_a_proxy_a_parent_or_a_child_is_one_of_the_same_row(ended: list[str], declare: Any) -> None:
    """Whichever of the classes it was declared for; by saving, by deleting, and by a relation from either side."""
    from tests.integrations.django.shop.models import Book, Guest, Staff, User

    book = Book.objects.create(title="One")
    Staff.objects.create(name="not asked")
    for declared in (User, Guest, Staff):
        take_back = declare(declared, tags=["row:{instance.pk}"])
        for made in (User, Guest, Staff):
            row = Staff.objects.create(name="Ada")
            taken(ended)
            mine = [f"row:{row.pk}"]
            through: User = row if made is Staff else made._default_manager.get(pk=row.pk)
            steps: dict[str, Callable[[], object]] = {
                "save": through.save,
                "add": lambda through=through: through.books.add(book),  # type: ignore[misc]
                "remove from afar": lambda through=through: book.user_set.remove(through),  # type: ignore[misc]
                "add from afar": lambda through=through: book.user_set.add(through),  # type: ignore[misc]
                "clear from afar": book.user_set.clear,
                "delete": through.delete,
            }
            for name, step in steps.items():
                step()
                assert sorted(set(taken(ended))) == mine, (declared, made, name)
        take_back()


def test_who_is_declared_for_one_model_leaves_the_others_as_they_are(declare: Any) -> None:
    """Django deletes rows of a model without reading them, as long as nobody listens for each of them."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from tests.integrations.django.shop.models import Place, User

    declare(User, tags=["users"])
    with CaptureQueriesContext(connection) as queries:
        Place.objects.all().delete()
    assert [sql for query in queries.captured_queries if (sql := query["sql"].split()[0]) == "SELECT"] == []


def test_what_a_tag_names_is_asked_for_while_it_is_there(ended: list[str], declare: Any) -> None:
    """A deferred field of an instance that is deleted, a relation that is not set."""
    from tests.integrations.django.shop.models import Shelf, Team, User

    declare(User, tags=["name:{instance.name}", "team:{instance.team.pk}", "shelf:{instance.shelf.code}"])
    user = User.objects.create(name="Ada")
    assert taken(ended) == ["name:Ada"]
    Shelf.objects.create(code="7", owner=user)
    user.team = Team.objects.create(name="One")
    user.save()
    everything = taken(ended)
    assert everything == ["name:Ada", "shelf:7", f"team:{user.team.pk}"]
    User.objects.only("pk").get().delete()
    assert taken(ended) == everything


def test_a_tag_that_goes_wrong_is_said(caches: Caches, declare: Any) -> None:
    """An attribute of the second part that there is not; a cache that knows no tags."""
    from django.test import override_settings

    from tests.integrations.django.shop.models import Team, User

    caches()
    take_back = declare(User, tags=["team:{instance.team.nme}"])
    with pytest.raises(AttributeError, match="'Team' object has no attribute 'nme'"):
        User.objects.create(name="Ada", team=Team.objects.create(name="One"))
    take_back()
    declare(Team, tags=["teams"])
    dummy = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    with (
        override_settings(CACHES=dummy),
        pytest.raises(ConfigError, match=r"CACHES\['default'\] is a DummyCache, where tags are not known"),
    ):
        Team.objects.create(name="Two")


MODELS = """
from django.db import models
from hotset.integrations.django import invalidate_on_change

class Reader(models.Model):
    name = models.CharField(max_length=50)
    books = models.ManyToManyField("Novel")

invalidate_on_change(Reader, tags=["reader:{instance.pk}"])

class Student(Reader):
    year = models.IntegerField(default=1)

class Novel(models.Model):
    title = models.CharField(max_length=50)
"""
PROJECT = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["late"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    CACHES={"default": {"BACKEND": "hotset.integrations.django.HotsetCache"}},
)
django.setup()
from django.core.cache import cache
from django.core.management import call_command
from late.models import Novel, Reader, Student
call_command("migrate", run_syncdb=True, verbosity=0)
ended = []
cache.hotset.on("ended", lambda event: ended.extend(event.tags))
novel = Novel.objects.create(title="One")
reader = Reader.objects.create(name="Ada")
student = Student.objects.create(name="Bob")
novel.reader_set.set([reader, student])
novel.reader_set.clear()
reader.delete()
print(*ended)
"""


def test_it_may_be_declared_while_models_are_being_imported(tmp_path: Path) -> None:
    """When no relation is known yet, and neither a child nor the other side of one is there."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "__init__.py").touch()
    (tmp_path / "late" / "models.py").write_text(MODELS)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROJECT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["reader:1", "reader:2", "reader:1", "reader:2", "reader:1", "reader:2", "reader:1"]


def test_bulk_operations_send_no_signal(ended: list[str], declare: Any) -> None:
    """A fact of Django: who uses them ends the tags himself."""
    from tests.integrations.django.shop.models import User

    declare(User, tags=["users"])
    User.objects.bulk_create([User(name="Ada"), User(name="Bob")])
    User.objects.update(name="Eve")
    assert taken(ended) == []


@pytest.mark.parametrize(
    "tags, complaint",
    [
        (["user:{pk}"], "names 'pk', which no User has"),
        (["user:{instance.nme}"], "names 'instance.nme', which no User has"),
        (["user:{instance}"], "names 'instance'"),
        (["user:{0}"], "names '0'"),
        (["user:{"], "is no format"),
        ("users", "not the one text"),
    ],
)
def test_a_tag_that_no_instance_can_fill_is_refused(declare: Any, tags: Any, complaint: str) -> None:
    """Where it is declared, not at the first save."""
    from tests.integrations.django.shop.models import User

    with pytest.raises(ConfigError, match=complaint):
        declare(User, tags=tags)
