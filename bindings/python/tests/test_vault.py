"""The vault: a key at opening, and what happens without one."""

from __future__ import annotations

import base64
import os

import pytest

import ventros


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (b"sixteen bytes...", "key_length_invalid"),
        ("AAAA", "key_length_invalid"),
        ("no base64 at all", "input_invalid"),
    ],
)
def test_a_malformed_key_is_refused(key: bytes | str, code: str) -> None:
    with pytest.raises(ventros.ValidationError) as caught:
        ventros.open(":memory:", background=False, encryption_key=key)
    assert (caught.value.code, caught.value.field) == (code, "encryption_key")


def test_a_key_is_bytes_or_base64() -> None:
    key = os.urandom(32)
    ventros.open(":memory:", background=False, encryption_key=key).close()
    ventros.open(":memory:", background=False, encryption_key=base64.b64encode(key).decode()).close()
