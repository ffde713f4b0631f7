"""Both clients, over real servers: pipelines, who is let in, deadlines, and connections that break."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from hotset.errors import StoreError, StoreRefused, StoreTimeout, StoreUnavailable
from hotset.stores.base import Command, Connections, Identity, Refused, Script
from tests.services.callers import CALLERS, PATIENCE, Ask, Caller, Reach, reaching

ECHO = Script("return ARGV[1]")
COUNT = Script("return redis.call('INCR', KEYS[1])")


@pytest.fixture(params=CALLERS)
def reach(request: pytest.FixtureRequest) -> Iterator[Reach]:
    """Makes clients of one kind."""
    yield from reaching(request.param)


def identity_of(caller: Caller) -> Identity:
    """Whom the client is connected to."""
    seen: list[Identity] = []

    def build(identity: Identity) -> list[Command]:
        seen.append(identity)
        return []

    assert caller.build(build) == []
    return seen[0]


def peers(server: Any, name: str) -> list[dict[str, str]]:
    """The connections that bear a name, as the server lists them."""
    lines = server.cli("CLIENT", "LIST").decode().splitlines()
    clients = [dict(word.partition("=")[::2] for word in line.split(" ")) for line in lines]
    return [client for client in clients if client["name"] == name]


# ---------------------------------------------------------------------------------------------------------- pipelines


def test_replies_come_in_order_and_refusals_are_values(reach: Reach, store_server: Any) -> None:
    """Each command has its own reply; one that was refused raises nothing and stops none of the others."""
    replies = reach(store_server.url).run(
        ("SET", "k", b"\xff\x00\r\n"),
        ("GET", "k"),
        ("INCR", "k"),
        ("GET", "absent"),
        ("LPUSH", "l", "a", 7),
        ("LRANGE", "l", 0, -1),
        ("GET", "l"),
        ("NONSENSE",),
    )
    assert replies[:6] == [b"OK", b"\xff\x00\r\n", Refused("ERR", "value is not an integer or out of range"), None, 2,
                           [b"7", b"a"]]  # fmt: skip
    assert [reply.code for reply in replies[6:] if isinstance(reply, Refused)] == ["WRONGTYPE", "ERR"]


def test_a_refusal_inside_a_reply_is_a_value_too(reach: Reach, store_server: Any) -> None:
    """A transaction's reply holds what one of its commands refused."""
    replies = reach(store_server.url).run(("SET", "k", "a"), ("MULTI",), ("INCR", "k"), ("GET", "k"), ("EXEC",))
    assert replies[-1] == [Refused("ERR", "value is not an integer or out of range"), b"a"]


def test_large_packets_and_replies_go_through(reach: Reach, store_server: Any) -> None:
    """Megabytes go and come in one pipeline, and thousands of commands."""
    caller = reach(store_server.url)
    large = bytes(range(256)) * 16_384
    assert caller.run(("SET", "k", large), ("GET", "k"), ("STRLEN", "k")) == [b"OK", large, len(large)]
    assert caller.run(*[("INCR", "n")] * 5_000) == list(range(1, 5_001))


def test_a_pipeline_of_nothing_sends_nothing(reach: Reach, store_server: Any) -> None:
    """`build` may look at the identity and decide that nothing is to be asked."""
    assert reach(store_server.url).run() == []


def test_what_build_raises_costs_no_connection(reach: Reach, store_server: Any) -> None:
    """Nothing was sent, so the connection serves on; the error comes as it is."""
    caller = reach(store_server.url)

    def build(_: Identity) -> list[Command]:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        caller.build(build)
    with pytest.raises(TypeError):
        caller.run(("SET", "k", object()))  # type: ignore[arg-type]
    assert caller.run(("ECHO", "a")) == [b"a"]
    assert caller.connections == Connections(open=1, idle=1)


# ------------------------------------------------------------------------------------------------------------ scripts


def test_only_the_scripts_that_the_server_does_not_know_are_repeated(reach: Reach, store_server: Any) -> None:
    """After SCRIPT FLUSH the scripts run once each, in full, and the commands around them are not sent again."""
    caller = reach(store_server.url)
    pipeline: list[Ask] = [("DEL", "n"), ("INCR", "n"), ECHO.call([], ["a"]), COUNT.call(["n"]), ("INCR", "n")]
    assert caller.run(*pipeline) == [0, 1, b"a", 3, 2]  # both unknown: COUNT runs after all the others
    assert caller.run(*pipeline) == [1, 1, b"a", 2, 3]
    store_server.cli("SCRIPT", "FLUSH")
    assert caller.run(ECHO.call([], ["b"]), ("INCR", "n"), COUNT.call(["n"])) == [b"b", 4, 5]
    assert caller.run(ECHO.call([], ["c"]), COUNT.call(["n"])) == [b"c", 6]


def test_a_script_that_was_refused_for_another_reason_is_not_repeated(reach: Reach, store_server: Any) -> None:
    """It ran, and what it did before it failed is done: once."""
    fails = Script("redis.call('INCR', KEYS[1]) return redis.error_reply('OUCH it hurts')")
    caller = reach(store_server.url)
    caller.run(fails.call(["n"]))
    assert caller.run(fails.call(["n"])) == [Refused("OUCH", "it hurts")]
    assert caller.run(("GET", "n")) == [b"2"]


# ----------------------------------------------------------------------------------------------------------- identity


def test_the_identity_is_the_servers_own(reach: Reach, store_server: Any) -> None:
    """Run id, replication id, role and version are what INFO says; the time is the server's, to a round trip."""
    before = time.time_ns() // 1000
    identity = identity_of(reach(store_server.url))
    after = time.time_ns() // 1000
    info = dict(line.split(":", 1) for line in store_server.cli("INFO").decode().splitlines() if ":" in line)
    assert (identity.run_id, identity.replication_id) == (info["run_id"], info["master_replid"])
    assert (identity.role, identity.kind) == ("master", info.get("server_name", "redis"))
    assert ".".join(map(str, identity.version)) == info.get("valkey_version", info["redis_version"])
    assert before <= identity.now_us <= after
    assert time.monotonic() - 10 < identity.at <= time.monotonic()


def test_a_restart_is_another_identity(reach: Reach, own_server: Any) -> None:
    """After a restart the pool opens anew, and the run id is another one."""
    server = own_server()
    caller = reach(server.url)
    first = identity_of(caller)
    server.kill()
    server.start()
    assert identity_of(caller).run_id not in {"", first.run_id}


def test_a_server_that_forbids_info_has_no_run_id(reach: Reach, own_server: Any) -> None:
    """A user whose ACL hides INFO is served all the same, and what is not known is empty."""
    server = own_server()
    server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-info")
    identity = identity_of(reach(server.url.replace("://", "://app:secret@")))
    assert (identity.run_id, identity.replication_id, identity.role) == ("", "", "master")
    assert identity.version >= (6, 2)


def test_connections_are_named_and_in_their_db(reach: Reach, store_server: Any) -> None:
    """CLIENT LIST shows the name, and the db of the url is the one that commands act on."""
    caller = reach(store_server.url.replace("/0", "/3"), name="shop-7")
    caller.run(("SET", "k", "v"))
    assert [peer["db"] for peer in peers(store_server, "shop-7")] == ["3"]
    assert reach(store_server.url).run(("EXISTS", "k")) == [0]


def test_nothing_is_opened_before_the_first_run(reach: Reach, store_server: Any) -> None:
    """A client that is only made has no connection."""
    caller = reach(store_server.url, name="unused")
    assert peers(store_server, "unused") == []
    assert caller.connections == Connections(open=0, idle=0)
    assert reach("redis://host.invalid:1").connections == Connections(open=0, idle=0)


# ------------------------------------------------------------------------------------------------------- who is let in


def refusals(caller: Caller) -> str:
    """The error of a client that is not let in, with all that a log would show of it."""
    with pytest.raises(StoreRefused) as caught:
        caller.run(("PING",))
    assert caller.connections == Connections(open=0, idle=0)
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caller.client)


def test_a_password_is_given_in_the_url_or_beside_it_or_by_a_function(reach: Reach, own_server: Any) -> None:
    """All three ways in work; a function is asked anew for each connection, so that a password may change."""
    server = own_server(config={"requirepass": "secret"})
    bare = server.url.replace(":secret@", "")
    given = iter([(None, "secret"), ("default", "secret")])
    caller = reach(bare, credentials=lambda: next(given))
    for one in reach(server.url), reach(bare, password="secret"), caller:
        assert one.run(("ECHO", "a")) == [b"a"]
    caller.client.close()
    assert caller.run(("ECHO", "b")) == [b"b"]
    with pytest.raises(StopIteration):
        next(given)


def test_who_is_not_let_in_is_told_what_to_do(reach: Reach, own_server: Any) -> None:
    """No password, a wrong one, a user who may not do what is needed, a db that is not there: each has its remedy."""
    server = own_server(config={"requirepass": "secret"})
    bare = server.url.replace(":secret@", "")
    where = f"127.0.0.1:{server.port}"
    server.cli("ACL", "SETUSER", "poor", "on", ">abcdef", "~*", "+get", "+hello")
    for caller, remedy in [
        (reach(bare), "NOAUTH; it wants a password"),
        (reach(bare, password="sesame"), "WRONGPASS; the user or the password is wrong"),
        (reach(bare, credentials=lambda: ("nobody", "sesame")), "WRONGPASS"),
        (reach(bare, username="poor", password="abcdef"), "NOPERM; its ACL must let this user run"),
        (reach(server.url.replace("/0", "/999")), "it has no db 999"),
    ]:
        said = refusals(caller)
        assert remedy in said
        assert where in said
        assert not [secret for secret in ("secret", "sesame", "abcdef") if secret in said.replace("wants a", "")]


@pytest.mark.parametrize("returned", ["sesame", ("sesame",), (b"user", b"sesame"), None], ids=str)
def test_credentials_of_a_wrong_shape_are_refused_by_name(reach: Reach, store_server: Any, returned: Any) -> None:
    """The error names the setting and the shape, and shows nothing of what was returned."""
    said = refusals(reach(store_server.url, credentials=lambda: returned))
    assert "credentials must return (user, password)" in said
    assert "sesame" not in said


def test_credentials_that_fail_are_no_loose_error(reach: Reach, store_server: Any) -> None:
    """What the function raised is the cause of a StoreRefused that names it."""

    def fetch() -> tuple[str, str]:
        raise LookupError("the vault is away")

    with pytest.raises(StoreRefused, match="credentials raised LookupError") as caught:
        reach(store_server.url, credentials=fetch).run(("PING",))
    assert isinstance(caught.value.__cause__, LookupError)


def test_too_many_clients_are_told_so(reach: Reach, own_server: Any) -> None:
    """A server that is full refuses by name, with the two settings that help."""
    server = own_server()
    server.cli("CONFIG", "SET", "maxclients", 1)
    with socket.create_connection(("127.0.0.1", server.port)) as other:
        other.sendall(b"PING\r\n")
        assert other.recv(100) == b"+PONG\r\n"
        with pytest.raises(StoreError, match="maxclients"):
            reach(server.url).run(("PING",))


def test_a_server_that_loads_is_refused_until_it_has(reach: Reach, own_server: Any) -> None:
    """While the data set is loading a new connection says so; afterwards it is served."""
    server = own_server()
    server.cli("DEBUG", "POPULATE", 2_000)
    server.cli("CONFIG", "SET", "key-load-delay", 1_000)
    server.cli("CONFIG", "SET", "loading-process-events-interval-bytes", 1_024)
    loading = threading.Thread(target=server.cli, args=("DEBUG", "RELOAD"))
    loading.start()
    caller = reach(server.url)
    said = ""
    try:
        while loading.is_alive() and not said:
            with contextlib.suppress(StoreTimeout):
                try:
                    caller.run(("PING",))
                    caller.client.close()
                except StoreRefused as error:
                    said = str(error)
    finally:
        server.cli("CONFIG", "SET", "key-load-delay", 0)  # the rest of it at once
        loading.join(PATIENCE)
    assert "LOADING; it is loading its data" in said
    assert caller.run(("DBSIZE",)) == [2_000]


def test_who_is_no_redis_is_told_apart(reach: Reach) -> None:
    """A web server at that port, or one that answers in Redis' words but not to the point, is not taken for a store."""
    for answer in b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n" * 6, b"-ERR unknown command 'HELLO'\r\n" * 6:
        with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as held:

            def serve(listener: socket.socket = listener, answer: bytes = answer) -> None:
                peer = held.enter_context(listener.accept()[0])
                peer.recv(4096)
                peer.sendall(answer)

            server = threading.Thread(target=serve)
            server.start()
            with pytest.raises(StoreUnavailable if answer[:1] != b"-" else StoreRefused) as caught:
                reach(f"redis://127.0.0.1:{listener.getsockname()[1]}").run(("PING",))
            server.join(PATIENCE)
            assert "127.0.0.1" in str(caught.value)


# ------------------------------------------------------------------------------------------------------- ways to reach


def test_a_unix_socket_is_reached(reach: Reach, own_server: Any) -> None:
    """`unix://` leads to the same server as its port."""
    server = own_server(unixsocket=True, config={"requirepass": "secret"})
    caller = reach(server.unix_url.replace("db=0", "db=2"))
    assert caller.run(("SET", "k", "v")) == [b"OK"]
    assert reach(server.url.replace("/0", "/2")).run(("GET", "k")) == [b"v"]
    with pytest.raises(StoreUnavailable, match=r"/nowhere/s\.sock"):
        reach("unix:///nowhere/s.sock").run(("PING",))


def test_tls_is_spoken_and_the_server_verified(reach: Reach, own_server: Any, tmp_path: Any) -> None:
    """With its CA the server is believed, with the system's or another name it is not; verify=False believes all."""
    server = own_server(tls=True)
    large = b"x" * 1_000_000
    caller = reach(server.url, ca_file=server.ca_file)
    assert caller.run(("SET", "k", large), ("GET", "k")) == [b"OK", large]
    assert caller.run(("ECHO", "a")) == [b"a"]
    assert caller.connections == Connections(open=1, idle=1)
    assert reach(server.url, verify=False).run(("ECHO", "b")) == [b"b"]
    with pytest.raises(StoreUnavailable, match="whom to trust is said by ca_file"):
        reach(server.url).run(("PING",))
    with pytest.raises(StoreUnavailable, match="ca_file"):
        reach(server.url.replace("127.0.0.1", "127.0.0.2"), ca_file=server.ca_file).run(("PING",))
    with pytest.raises(StoreUnavailable, match="rediss://"):
        reach(server.url.replace("rediss", "redis")).run(("PING",))
    with pytest.raises(StoreUnavailable, match="No such file"):
        reach(server.url, ca_file=tmp_path / "absent.pem").run(("PING",))


def test_a_port_where_nobody_listens_is_unavailable(reach: Reach) -> None:
    """The error names the place, and comes at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}"):
            reach(f"redis://127.0.0.1:{port}").run(("PING",))
        assert time.monotonic() - begun < PATIENCE / 2
    with pytest.raises(StoreUnavailable, match=r"host\.invalid:6379"):
        reach("redis://host.invalid").run(("PING",))
