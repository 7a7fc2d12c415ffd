"""Decoders, each built once and under one lock.

msgspec describes a type to itself when its first decoder is built. A second thread that meets the half-written
description reads through null pointers.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

from msgspec.json import Decoder

K = TypeVar("K")

building = threading.RLock()
"""Held by whoever shows msgspec a type that it may not have seen yet."""


def build(built: dict[K, Decoder[Any]], key: K, kind: Any) -> Decoder[Any]:
    """The decoder of values of the type `kind`, kept in `built` under `key`. Look there first, without the lock."""
    with building:
        decoder = built.get(key)
        if decoder is None:
            decoder = built[key] = Decoder(kind)
        return decoder
