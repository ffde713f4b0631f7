"""The README's Python runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_ten_lines_run() -> None:
    """The first block of Python runs, and its delete takes the entry."""
    block = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[0]
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)  # our own text
    load_user = names["load_user"]
    assert load_user(7) == {"id": 7, "name": "Ada"}  # type: ignore[operator]
    assert load_user.delete(7) == 1  # type: ignore[attr-defined]
