"""GraphQL with a dataloader: one query for all authors of a page, none for those that any worker has read before."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress

import strawberry
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.middleware.base import RequestResponseEndpoint
from strawberry.dataloader import DataLoader
from strawberry.fastapi import GraphQLRouter

from hotset import Cache

cache = Cache.from_env()
DATABASE = os.environ.get("DATABASE", "books.db")
asked: list[int] = []
"""How many authors each query of this worker has asked for."""


@strawberry.type
class Author:
    id: int
    sold: int


@cache.cached("author:{author_id}", ttl="10m")
async def load_author(author_id: int) -> int:
    return (await load_authors([author_id]))[author_id]


@load_author.batch
async def load_authors(author_ids: list[int]) -> dict[int, int]:
    """One query for those that nobody has, and that no other worker is loading just now."""
    asked.append(len(author_ids))
    marks = ", ".join("?" * len(author_ids))
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db:
        return dict(db.execute(f"SELECT id, sold FROM author WHERE id IN ({marks})", author_ids))


async def authors_of(author_ids: list[int]) -> list[Author | None]:
    """What the dataloader calls once for all fields of a request that ask for an author."""
    found = await load_author.many(author_ids)
    return [Author(id=number, sold=found[number]) if number in found else None for number in author_ids]


@strawberry.type
class Book:
    id: int
    author_id: strawberry.Private[int]

    @strawberry.field
    async def author(self, info: strawberry.Info) -> Author | None:
        found: Author | None = await info.context["authors"].load(self.author_id)
        return found


@strawberry.type
class Query:
    @strawberry.field
    def books(self, first: int = 10) -> list[Book]:
        return [Book(id=number, author_id=1 + number % 20) for number in range(1, first + 1)]


async def context() -> dict[str, DataLoader[int, Author | None]]:
    return {"authors": DataLoader(load_fn=authors_of)}  # one a request: what it remembers ends with it


app = FastAPI()
app.include_router(GraphQLRouter(strawberry.Schema(Query), context_getter=context), prefix="/graphql")


class Sold(BaseModel):
    sold: int


@app.put("/authors/{author_id}")
async def change(author_id: int, sold: Sold) -> Sold:
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
        db.execute("UPDATE author SET sold = ? WHERE id = ?", [sold.sold, author_id])
    await load_author.delete(author_id)
    return sold


@app.get("/health")
def health() -> dict[str, list[int]]:
    return {"asked": asked}


@app.middleware("http")
async def name_the_worker(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["X-Worker"] = str(os.getpid())
    return response


with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
    with suppress(sqlite3.OperationalError):  # another worker does it at this moment
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE IF NOT EXISTS author (id INTEGER PRIMARY KEY, sold INTEGER)")
    db.executemany("INSERT OR IGNORE INTO author VALUES (?, 0)", [(number,) for number in range(1, 21)])
