"""Models that end their tags: a change of an instance ends the tags that are declared for it, after the commit."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Any, Final

from django.core.cache import caches
from django.core.exceptions import ObjectDoesNotExist
from django.db.models.signals import class_prepared, m2m_changed, post_save, pre_delete

from hotset.errors import ConfigError
from hotset.integrations.django.backend import HotsetCache
from hotset.options import tags as tag_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.db.models import Model

_AFTER: Final = frozenset({"post_add", "post_remove", "post_clear"})


def invalidate_on_change(model: type[Model], tags: Iterable[str], *, cache: str = "default") -> Callable[[], None]:
    """Have tags end whenever an instance of `model` is saved or deleted, or its relations of many to many change.

    May be called in models.py, beside the class, or in `AppConfig.ready()`. Each tag is a format of the instance:
    `"user:{instance.pk}"`; one that goes through a relation that is not set is left out. Inside a transaction they end
    after its commit. What is declared twice ends once. A change through a proxy, a parent or a child of `model` is one
    of the same row, and counts.

    Bulk operations send no signal (`update`, `bulk_create`, `bulk_update`, raw SQL, `on_delete=SET_NULL`, a database's
    own cascades, the historical models of a migration), nor does a relation of many to many whose other side is
    deleted: end the tags yourself there, `cache.hotset.delete(tags=[…])`. A table in between that is a model of yours
    (`through=`) has signals of its own.

    Args:
        model: the class whose instances change; of an abstract one, its children.
        tags: what ends.
        cache: the alias in CACHES.

    Returns:
        What takes the declaration back.

    Raises:
        ConfigError: a tag is no text, or no format of an instance.
    """
    return Change(model, tag_names(tags), cache).listen()


class Change:
    """What ends with a change of one model."""

    def __init__(self, model: type[Model], tags: tuple[str, ...], cache: str) -> None:
        self.model = model
        self.tags = tags
        self.cache = cache
        for tag in tags:
            _check(tag, model)

    def listen(self) -> Callable[[], None]:
        """Hear of every change from now on; return what ends that."""
        uid = ("hotset", self.model, self.tags, self.cache)
        heard: list[type[Model]] = []

        # Each class by itself: a listener for all of them would take Django's fast deletions from every model there is.
        def hear(sender: type[Model], **_: Any) -> None:
            if self._same_rows(sender):
                heard.append(sender)
                for signal in (post_save, pre_delete):
                    signal.connect(self.changed, sender=sender, weak=False, dispatch_uid=uid)

        for models in list(_meta(self.model).apps.all_models.values()):
            for each in list(models.values()):
                hear(each)
        class_prepared.connect(hear, weak=False, dispatch_uid=uid)
        # Relations come from any table in between, and which there are is not known while models are being imported.
        m2m_changed.connect(self.relations_changed, weak=False, dispatch_uid=uid)

        def take_back() -> None:
            class_prepared.disconnect(dispatch_uid=uid)
            m2m_changed.disconnect(dispatch_uid=uid)
            for sender in heard:
                for signal in (post_save, pre_delete):
                    signal.disconnect(sender=sender, dispatch_uid=uid)

        return take_back

    def changed(self, instance: Model, using: str, **_: Any) -> None:
        """An instance was saved, or is about to be deleted: in a block of its own, and what the tags name is there."""
        self.end(self._mine(instance, using))

    def relations_changed(self, **signal: Any) -> None:
        """A relation of many to many was changed, from either side."""
        instance, other, action, using = signal["instance"], signal["model"], signal["action"], signal["using"]
        if action in _AFTER and self._same_rows(type(instance)):
            self.changed(instance, using)
        if self._same_rows(other):  # those on the other side
            mine, theirs, named = _sides(**signal)
            values = signal["pk_set"] if action in _AFTER else None
            if action == "pre_clear":  # afterwards nobody knows who they were; all of it is in one transaction
                between = signal["sender"]._base_manager.using(using)  # noqa: SLF001  Django's public name
                values = between.filter(**{mine: instance}).values(theirs)
            if values is not None:
                others = other._base_manager.using(using).filter(**{f"{named}__in": values})  # noqa: SLF001  as above
                self.end(each for found in others for each in self._mine(found, using))

    def end(self, instances: Iterable[Model]) -> None:
        """End the tags of these instances: after the commit, where a transaction is open."""
        made = (_made(tag, instance) for instance in instances for tag in self.tags)
        ended = dict.fromkeys(tag for tag in made if tag is not None)
        if ended:
            backend = caches[self.cache]
            if not isinstance(backend, HotsetCache):
                raise ConfigError(
                    f"invalidate_on_change: CACHES[{self.cache!r}] is a {type(backend).__name__}, where tags are not "
                    'known; its BACKEND is to be "hotset.integrations.django.HotsetCache"'
                )
            backend.hotset.delete(tags=ended)

    def _same_rows(self, other: type[Model]) -> bool:
        """Tell whether an instance of another class may be a row of this model: is one a proxy, or a child?"""
        mine, theirs = _concrete(self.model), _concrete(other)
        return issubclass(theirs, mine) or issubclass(mine, theirs)

    def _mine(self, instance: Model, using: str) -> Iterable[Model]:
        """Return an instance as one of this model; none if it is no row of it."""
        if isinstance(instance, self.model):
            return [instance]
        if isinstance(instance, _concrete(self.model)):  # as good as a child: it has all the fields
            row = {"pk": getattr(instance, _meta(self.model).pk.attname)}
        else:
            row = {_meta(instance).pk.name: instance.pk}
        return self.model._base_manager.using(using).filter(**row)  # noqa: SLF001  Django's public name


def _sides(*, sender: Any, instance: Model, model: type[Model], reverse: bool, **_: Any) -> tuple[str, str, str]:
    """Return what the table in between calls an instance's side, and the other, and by which field it names that."""
    owner = model if reverse else type(instance)
    [field] = [each for each in _meta(owner).many_to_many if each.remote_field.through is sender]
    if reverse:
        return field.m2m_reverse_field_name(), field.m2m_field_name(), field.m2m_target_field_name()
    return field.m2m_field_name(), field.m2m_reverse_field_name(), field.m2m_reverse_target_field_name()


def _made(tag: str, instance: Model) -> str | None:
    """Return a tag of an instance; None: of nobody, since a relation that it goes through is not set."""
    try:
        return tag.format(instance=instance)
    except ObjectDoesNotExist:
        return None
    except AttributeError as error:
        if error.obj is None and error.name is not None:  # None was asked
            return None
        raise


def _concrete(model: type[Model]) -> type[Model]:
    return _meta(model).concrete_model or model


def _meta(model: Any) -> Any:
    return model._meta  # noqa: SLF001  Django's public name for what a model is


def _check(tag: str, model: type[Model]) -> None:
    """Refuse what could not be formatted with an instance."""
    valid = f'invalidate_on_change: a tag such as "{model.__name__.lower()}:{{instance.pk}}"'
    try:
        names = [name for _, name, _, _ in Formatter().parse(tag) if name is not None]
    except ValueError as error:
        raise ConfigError(f"{valid}; {tag!r} is no format: {error}") from None
    for name in names:
        first, _, rest = name.partition(".")
        if first != "instance" or not rest or not hasattr(model, rest.partition(".")[0]):
            raise ConfigError(f"{valid}; {tag!r} names {name!r}, which no {model.__name__} has")
