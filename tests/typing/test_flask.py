"""What type checkers make of the Flask extension."""

from __future__ import annotations

import asyncio
from typing import assert_type

from flask import Flask

from hotset import Cache
from hotset.integrations.flask import Hotset

app = Flask("typed")
cache = Hotset(app)


@cache.cached("user:{user_id}", ttl="10m")
def load_user(user_id: int) -> str:
    """A function."""
    return str(user_id)


@cache.cached("order:{order_id}")
async def load_order(order_id: int) -> str:
    """An async one."""
    return str(order_id)


@app.get("/users/<int:user_id>")
@cache.view("user-page:{user_id}", tags=["users"])
def user_page(user_id: int) -> str:
    """A view."""
    return load_user(user_id)


async def use() -> None:
    """Use them all."""
    with app.app_context():
        assert_type(load_user(7), str)
        assert_type(load_user.delete(7), int)
        assert_type(await load_order(7), str)
        assert_type(user_page.delete(7), int)
        assert_type(user_page.tag(user_id=7), str)
        assert_type(cache.current, Cache)


def test_types_are_kept() -> None:
    """Functions keep their signature and gain the operations; a view has what ends its pages."""
    asyncio.run(use())
