"""Every error that hotset raises of its own accord.

```
HotsetError
├── ConfigError(ValueError)        a setting is wrong: the message names it and says what would be valid
├── KeyRejected(ValueError)        this cannot be a key, or part of one
├── CodecError(ValueError)         this value cannot be kept
├── StoreError                     a tier outside the process
│   ├── StoreUnavailable(ConnectionError)
│   ├── StoreTimeout(TimeoutError)
│   └── StoreRefused               too large, out of memory, read only
├── LoadTimeout(TimeoutError)      a loader took longer than the caller would wait
├── WouldDeadlock(RuntimeError)    this call would wait for itself
└── NotFound(LookupError)          raised by loaders: the source has no such thing
```

Each derives from the builtin that a caller would have caught anyway. What a loader itself raises is never wrapped.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HotsetError(Exception):
    """The root of hotset's own errors."""


class ConfigError(HotsetError, ValueError):
    """A setting is wrong; the message names the setting and says what would be valid."""


class KeyRejected(HotsetError, ValueError):
    """A key, or an argument that would become part of one, cannot be a key."""


class CodecError(HotsetError, ValueError):
    """A value cannot be kept: another reader could not get the same value back."""


class StoreError(HotsetError):
    """A tier outside the process did not do what it was asked. Reads never raise it."""


class StoreUnavailable(StoreError, ConnectionError):
    """The store cannot be reached."""


class StoreTimeout(StoreError, TimeoutError):
    """The store did not answer in time."""


class StoreRefused(StoreError):
    """The store answered, and refused: too large, out of memory, read only."""


class LoadTimeout(HotsetError, TimeoutError):
    """A loader took longer than the caller would wait."""


class WouldDeadlock(HotsetError, RuntimeError):
    """The call would wait for something that can only go on once the call has returned."""


class NotFound(HotsetError, LookupError):
    """The source has no such thing.

    Raise it (or a subclass) in a loader. With `negative_ttl` it is remembered for that long and raised again without
    asking the source; it also removes what was cached under the key. `None` needs none of this: it is a value like
    any other.
    """


def unknown(what: str, given: object, valid: Iterable[str]) -> ConfigError:
    """Return the error for a name that is none of `valid`, with the nearest valid one first."""
    names = sorted(valid)
    near = difflib.get_close_matches(str(given), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ConfigError(f"unknown {what} {given!r}: {hint}valid are {', '.join(names)}")
