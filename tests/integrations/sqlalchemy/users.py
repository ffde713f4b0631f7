"""What is cached: users, by name."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

KEY = "user:7"


class Base(DeclarativeBase):
    """The tables."""


class User(Base):
    """A row."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


def name_in(engine: Engine) -> str:
    """Return what is committed."""
    with Session(engine) as session:
        return session.scalars(select(User.name).where(User.id == 7)).one()


def elsewhere(call: Callable[[], Any]) -> Any:
    """Call in a context that takes part in nothing."""
    return Context().run(call)
