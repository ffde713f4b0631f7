"""The async client: many tasks over few connections, loops that end, tasks that are cancelled, children that fork."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

from hotset.config.redis import Redis
from hotset.errors import StoreTimeout
from hotset.stores.base import Connections
from hotset.stores.redis.aio import AsyncClient
from tests.services.callers import PATIENCE, sending


async def ask(client: AsyncClient, *words: bytes | str | int, seconds: float = PATIENCE) -> Any:
    """The reply to one command."""
    return (await client.run(sending(words), seconds))[0]


async def until(true: Any) -> None:
    """Let the other tasks run until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0)


def test_two_hundred_tasks_share_a_bounded_number_of_connections(store_server: Any) -> None:
    """Each has its own answer, and there are never more connections than the limit."""
    client = AsyncClient(Redis(store_server.url, max_connections=8, name="crowd"))

    async def main() -> None:
        answers = await asyncio.gather(*(ask(client, "ECHO", number) for number in range(200)))
        assert answers == [str(number).encode() for number in range(200)]
        assert client.connections == Connections(open=8, idle=8)
        assert store_server.cli("CLIENT", "LIST").count(b"name=crowd") == 8

    asyncio.run(main())


@pytest.mark.parametrize("ending", ["run", "closed"])
def test_loops_may_follow_each_other(store_server: Any, ending: str) -> None:
    """Each loop opens connections of its own; those of a loop that ended are closed without a warning."""
    client = AsyncClient(Redis(store_server.url, name=f"turns-{ending}"))

    async def main() -> Any:
        return await asyncio.gather(*(ask(client, "ECHO", number) for number in range(3)))

    for _ in range(3):
        if ending == "run":
            assert asyncio.run(main()) == [b"0", b"1", b"2"]
            assert client.connections == Connections(open=0, idle=0)
        else:
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(main()) == [b"0", b"1", b"2"]
            loop.close()
    client.close()
    assert client.connections == Connections(open=0, idle=0)
    gc.collect()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "ending",
    [
        "asyncio.run(main()); asyncio.run(main())",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main()); loop.close(); client.close()",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main()); loop.close(); del client",
        "asyncio.run(dropped())",
        "asyncio.run(closed())",
        "asyncio.run(busy())",
    ],
)
def test_no_ending_leaves_a_warning(own_server: Any, ending: str, tls: bool) -> None:
    """However a loop or a client ends, the interpreter says nothing, with every warning shown and asyncio in debug."""
    server = own_server(tls=tls)
    script = """
        import asyncio, gc
        from hotset.config.redis import Redis
        from hotset.stores.base import Command
        from hotset.stores.redis.aio import AsyncClient

        client = AsyncClient(Redis({url!r}, ca_file={ca_file!r}))
        async def main(client=None):
            client = client or globals()["client"]
            await asyncio.gather(*(client.run(lambda _: [Command(("PING",))], 5) for _ in range(3)))
        async def dropped():
            await main(AsyncClient(Redis({url!r}, ca_file={ca_file!r})))
            gc.collect()
            await asyncio.sleep(0.01)
        async def closed():
            await main()
            await client.aclose()
            await main()
            client.close()
        async def busy():
            await main()
            task = asyncio.ensure_future(client.run(lambda _: [Command(("BLPOP", "l", "0"))], 5))
            await asyncio.sleep(0.01)
        {ending}
        gc.collect()
    """
    script = textwrap.dedent(script).format(url=server.url, ca_file=str(server.ca_file) if tls else None, ending=ending)
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "always::ResourceWarning", "-c", script],
        capture_output=True, text=True, timeout=PATIENCE * 2, check=False,
    )  # fmt: skip
    slow = "Executing "  # what asyncio says of a step on a busy machine
    said = [line for line in run.stderr.splitlines() if not line.startswith(slow)]
    assert (run.returncode, said) == (0, [])


def test_loops_of_two_threads_use_one_client_at_once(store_server: Any) -> None:
    """Each has its own connections, and closing from outside reaches both."""
    client = AsyncClient(Redis(store_server.url))

    async def main(other: Any) -> Any:
        mine = await ask(client, "CLIENT", "ID")
        theirs = await asyncio.to_thread(asyncio.run, other()) if other else None
        assert await ask(client, "CLIENT", "ID") == mine
        return mine, theirs

    async def inner() -> Any:
        return await main(None)

    mine, theirs = asyncio.run(main(inner))
    assert mine != theirs[0]


def test_a_cancelled_pipeline_costs_its_connection(store_server: Any) -> None:
    """What the server says to it later reaches nobody, and its place in the pool is free."""
    client = AsyncClient(Redis(store_server.url, max_connections=1))

    async def main() -> None:
        first = await ask(client, "CLIENT", "ID")
        task = asyncio.ensure_future(ask(client, "BLPOP", "l", 0))
        await until(lambda: store_server.cli("INFO", "clients").count(b"blocked_clients:1"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.connections == Connections(open=0, idle=0)
        store_server.cli("RPUSH", "l", "late")
        assert [await ask(client, "ECHO", text) for text in ("a", "b")] == [b"a", b"b"]
        assert await ask(client, "CLIENT", "ID") != first

    asyncio.run(main())


def test_a_cancelled_waiter_leaves_the_queue(store_server: Any) -> None:
    """Before it is its turn, and in the very moment in which it is: the connection goes to the next."""
    client = AsyncClient(Redis(store_server.url, max_connections=1))

    async def main() -> None:
        await ask(client, "PING")

        async def hold() -> Any:
            answer = await ask(client, "BLPOP", "l", 0)
            waiters[1].cancel()  # it was granted just now, and has not run since
            return answer

        holder = asyncio.ensure_future(hold())
        await until(lambda: not client.connections.idle)
        waiters = [asyncio.ensure_future(ask(client, "ECHO", number)) for number in range(4)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        store_server.cli("RPUSH", "l", "v")
        assert await holder == [b"l", b"v"]
        answers = await asyncio.gather(*waiters, return_exceptions=True)
        assert [type(answer) for answer in answers[:2]] == [asyncio.CancelledError] * 2
        assert answers[2:] == [b"2", b"3"]
        assert client.connections.open == client.connections.idle == 1

    asyncio.run(main())


def test_a_task_cancelled_while_it_connects_leaves_nothing(own_server: Any) -> None:
    """The place is free again, and nothing is left open."""
    server = own_server()
    client = AsyncClient(Redis(server.url, max_connections=1))

    async def main() -> None:
        server.pause()
        task = asyncio.ensure_future(ask(client, "PING"))
        await until(lambda: client.connections.open)
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.connections == Connections(open=0, idle=0)
        server.resume()
        assert await ask(client, "ECHO", "a") == b"a"

    asyncio.run(main())


def test_who_waits_in_vain_for_a_connection_is_told(store_server: Any) -> None:
    """The error names the setting; the connection that was in use is not lost by it."""
    client = AsyncClient(Redis(store_server.url, max_connections=1))

    async def main() -> None:
        await ask(client, "PING")
        blocked = asyncio.ensure_future(ask(client, "BLPOP", "l", 0))
        await until(lambda: not client.connections.idle)
        begun = time.monotonic()
        with pytest.raises(StoreTimeout, match="max_connections"):
            await ask(client, "PING", seconds=0.25)
        assert 0.2 < time.monotonic() - begun < 0.6
        store_server.cli("RPUSH", "l", "v")
        assert await blocked == [b"l", b"v"]
        assert client.connections == Connections(open=1, idle=1)

    asyncio.run(main())


def test_an_inner_timeout_of_the_caller_is_the_callers(store_server: Any) -> None:
    """asyncio.timeout around a run raises what it always does, not a StoreTimeout."""
    client = AsyncClient(Redis(store_server.url))

    async def main() -> None:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await ask(client, "BLPOP", "nothing", 0)
        assert type(caught.value) is TimeoutError
        assert await ask(client, "ECHO", "a") == b"a"

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_connections_alone(store_server: Any) -> None:
    """A child runs a loop of its own and ends; the parent's loop goes on with the connection that it had."""
    client = AsyncClient(Redis(store_server.url, max_connections=1))

    async def main() -> None:
        mine = await ask(client, "CLIENT", "ID")
        child = os.fork()
        if child == 0:
            try:
                asyncio.events._set_running_loop(None)
                fresh = client.connections == Connections(open=0, idle=0)
                theirs = asyncio.run(ask(client, "CLIENT", "ID"))
                client.close()
                gc.collect()
                os._exit(0 if fresh and theirs != mine else 1)
            finally:
                os._exit(2)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert [await ask(client, "ECHO", text) for text in ("a", "b")] == [b"a", b"b"]
        assert await ask(client, "CLIENT", "ID") == mine

    asyncio.run(main())
