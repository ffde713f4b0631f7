"""What all folders of tests share."""

import gc
from collections.abc import Generator

import pytest

pytest_plugins = ["tests.services.fixtures"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have the garbage collector leave alone what lives to the end: five thousand tests and all that they import.

    It went through them again and again, a tenth of a run's time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
