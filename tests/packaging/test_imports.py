"""What `import hotset` costs: it loads neither asyncio nor any third party before they are used."""

import subprocess
import sys
import textwrap

import pytest

# Printed by the child: the top-level modules outside the standard library that `source` loaded, and asyncio if it did.
PROBE = """
import sys
before = set(sys.modules)
{source}
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(name for name in loaded if name == "asyncio" or name not in sys.stdlib_module_names | {{"hotset"}}))
"""


def loaded_by(source: str) -> list[str]:
    """The third parties, and asyncio, that a fresh interpreter has loaded after running `source`."""
    script = PROBE.format(source=textwrap.dedent(source))
    child = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.split()


def test_the_probe_sees_what_is_loaded() -> None:
    """The check itself is able to see asyncio and a third party."""
    assert {"asyncio", "ormsgpack"} <= set(loaded_by("import asyncio, ormsgpack"))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import hotset", id="import"),
        pytest.param("import hotset; hotset.Cache()", id="construct"),
        pytest.param("import hotset; c = hotset.Cache(); c.set('k', 1); assert c.get('k') == 1", id="set-and-get"),
        pytest.param("import hotset.entry.codec, hotset.entry.wire", id="codecs"),
        pytest.param("import hotset; assert hotset.Cache().get_or_load('k', lambda: 1) == 1", id="load"),
    ],
)
def test_the_sync_face_loads_neither_asyncio_nor_third_parties(source: str) -> None:
    """A program that uses the sync face over the process tier pays for the standard library alone."""
    assert loaded_by(source) == []
