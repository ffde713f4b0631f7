"""The scene of the page "Cold start": Redis is flushed at peak, and the origin's load stays bounded."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks import cold_start
from benchmarks.cold_start import KINDS, Scene, Seen, picture, play
from tests.services.fixtures import need


def test_each_process_asks_the_origin_at_most_once_for_a_key() -> None:
    """Together once, unless the store takes so long on a busy machine that they do without it."""
    need("redis")
    scene = Scene(processes=2, threads=8, reads=20, seconds=1.0)
    seen = play("hotset", scene)
    assert seen.after
    assert seen.of_one_key <= scene.processes
    assert any(hit for at, hit in seen.reads if at < 0)
    assert [at for at, _ in seen.loads if at < 0] == []


def test_the_picture_is_made_of_what_was_seen() -> None:
    """A line for each way, and where the flush was."""
    scene = Scene(seconds=2.0)
    seen = {kind: Seen([(0.01, "a"), (0.02, "a")], [(-0.5, True), (0.3, False)]) for kind in KINDS}
    assert (seen["hotset"].of_one_key, seen["hotset"].at_once, len(seen["hotset"].after)) == (2, 2, 2)
    drawn = ET.fromstring(picture(seen, scene))
    lines = drawn.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [20, 20, 20, 20]
    assert cold_start.counted([0.01, 0.02], scene)[10] == (0.0, 2)
