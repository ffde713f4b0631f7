"""Configuration a: the process alone."""

from __future__ import annotations

from tests.model.memory import read_memory
from tests.model.scenario import Scenario
from tests.model.scenarios.parts import KEPT, SOURCE, TAGS, delete_m, delete_tag_m, expire_m, expire_tag_m

ALONE = [
    Scenario(
        "a-delete",
        "W1 W14",
        ((0, (read_memory, read_memory)), (0, (read_memory,)), (0, (delete_m, read_memory))),
        least=1_500,
    ),
    Scenario(
        "a-tag",
        "W2 W8",
        ((0, (read_memory, read_memory)), (0, (read_memory,)), (0, (delete_tag_m, read_memory))),
        TAGS,
        least=1_800,
    ),
    Scenario(
        "a-expire",
        "W1 W12",
        ((0, (read_memory, read_memory)), (0, (expire_m, delete_m, read_memory))),
        events=(SOURCE,),
        start=KEPT,
        least=510,
    ),
    Scenario(
        "a-expire-tag",
        "W2 W12",
        ((0, (read_memory, read_memory)), (0, (read_memory,)), (0, (expire_tag_m, delete_tag_m))),
        TAGS,
        events=(SOURCE,),
        start=KEPT,
        least=1_800,
    ),
]
