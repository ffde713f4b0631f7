"""Readers and a changer of a shop that several processes serve, and the verdict on each answer."""

from __future__ import annotations

import json
import random
import threading
from http.client import HTTPConnection, HTTPException

ITEMS = range(8)
READERS = 4


class Traffic:
    """Reads and changes that go on until they are told to stop."""

    def __init__(self, port: int, lag: float) -> None:
        self._port = port
        self._lag = lag
        self._done = threading.Event()
        self._ended: dict[int, list[tuple[int, float]]] = {item: [] for item in ITEMS}
        self._seen: list[tuple[int, int, int, float]] = []
        self.broken = 0
        """Requests that died with their process."""
        self._threads = [threading.Thread(target=self._read) for _ in range(READERS)]
        self._threads.append(threading.Thread(target=self._change))
        for thread in self._threads:
            thread.start()

    @property
    def reads(self) -> int:
        """How many answers there were so far."""
        return len(self._seen)

    @property
    def processes(self) -> set[int]:
        """Who has answered so far."""
        return {pid for pid, *_ in self._seen[:]}

    def ask(self, path: str) -> list[float] | None:
        """Return the answer to a request on a connection of its own; None if it died with its process."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", path)
            answer: list[float] = json.loads(connection.getresponse().read())
        except (OSError, HTTPException, ValueError):
            self.broken += 1
            return None
        finally:
            connection.close()
        return answer

    def _read(self) -> None:
        rng = random.Random()
        while not self._done.is_set():
            item = rng.choice(ITEMS)
            if answer := self.ask(f"/price?item={item}"):
                self._seen.append((int(answer[0]), item, int(answer[1]), answer[2]))

    def _change(self) -> None:
        rng = random.Random()
        while not self._done.wait(0.01):  # the pace of changes
            item = rng.choice(ITEMS)
            if answer := self.ask(f"/change?item={item}"):
                self._ended[item].append((int(answer[1]), answer[2]))

    def stop(self) -> None:
        """Stop, and wait for what is under way."""
        self._done.set()
        for thread in self._threads:
            thread.join()

    def stale(self) -> list[tuple[int, int, int, float]]:
        """The answers that were older than an ending which had returned, everywhere, before the read began."""
        return [seen for seen in self._seen if self._is_stale(*seen)]

    def _is_stale(self, pid: int, item: int, got: int, began: float) -> bool:
        return any(version > got for version, ended in self._ended[item] if ended + self._lag < began)

    @property
    def changes(self) -> int:
        """How many changes there were."""
        return sum(map(len, self._ended.values()))
