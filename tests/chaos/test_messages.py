"""Who hears of what: fills tell nobody but who holds or awaits what they replace."""

from __future__ import annotations

from typing import Any

import pytest

from hotset import Cache
from tests.chaos.conftest import Say
from tests.chaos.fleet import fleet, until
from tests.services.servers import Server

FILLS = 10_000


class Holder:
    """A process with a link."""

    def __init__(self, number: int, url: str) -> None:
        self.cache = Cache(f"memory://?max_entries={2 * FILLS}", url, ttl="1h")
        self.hold(f"own:{number}")

    def hold(self, key: str) -> int:
        """Read a key, and return how many messages were heard once its copy is near."""
        self.cache.get_or_load(key, lambda: key)
        until(lambda: bool(self.cache.lookup(key)) and self.cache.lookup(key).tier == "process")  # type: ignore[union-attr]
        return self.messages()

    def messages(self) -> int:
        """How many messages it has heard."""
        return self.cache.status().store.messages  # type: ignore[union-attr]

    def fill(self, count: int) -> None:
        """Load so many keys: a tenth one at a time as readers do, the others by the hundred."""
        for number in range(count // 10):
            self.cache.get_or_load(f"k:{number}", lambda: 1)
        for first in range(count // 10, count, 100):
            self.cache.get_or_load_many(
                [f"k:{number}" for number in range(first, first + 100)], lambda keys: dict.fromkeys(keys, 1)
            )

    def delete(self, key: str) -> None:
        """End one key."""
        self.cache.delete(key)


def _pushed(server: Server) -> int:
    """What the server has pushed to trackers, of the fills' keys, over all its life: nobody tracks them, so nothing."""
    return int(server.info("stats")["tracking_total_keys"])


@pytest.mark.parametrize("fills", [FILLS])
def test_fills_tell_nothing_to_processes_that_hold_no_copy(server: Server, fills: int, say: Say) -> None:
    """10,000 fills by one process: the others hear nothing, by their own count and by the server's traffic to them."""
    members: list[Any]
    with fleet(3, Holder, server.url) as members:
        filler, *others = members
        before = [other.call("messages") for other in others]
        filler.call("fill", fills)
        # A message to who does hold a copy is behind all that came before it on that link: it ends the count.
        heard = []
        for number, other in enumerate(others, start=1):
            filler.call("delete", f"own:{number}")
            until(lambda other=other, number=number: other.call("messages") > before[number - 1])  # type: ignore[misc]
            heard.append(other.call("messages") - before[number - 1] - 1)
        own = filler.call("messages")
        tracked = _pushed(server)
    say(f"{fills:,} fills: {heard} messages to others, {own} to the filler; {tracked} keys tracked")
    assert heard == [0, 0]
    assert tracked <= fills + 20


def test_a_fill_is_told_to_who_holds_the_copy_that_it_replaces(server: Server) -> None:
    """The counts above can be other than 0: a copy near that is written elsewhere costs its holder one message."""
    with fleet(2, Holder, server.url) as (one, other):
        before = other.call("hold", "shared")
        one.call("delete", "shared")
        until(lambda: other.call("messages") > before)
