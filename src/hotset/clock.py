"""Where time comes from: seconds that only go forward. Durations and deadlines use it; what came first never does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Returns seconds since some fixed moment; never goes back."""

monotonic: Clock = time.monotonic
