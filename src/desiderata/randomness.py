"""Independent random streams from one seed.

One seed per campaign; every (round, purpose) draws from its own stream, so that a run which is killed and resumed
draws the same numbers as one left alone, and adding a draw in one place changes nothing elsewhere.
"""

import hashlib

import numpy as np


def stream(seed: int, *key: int | str) -> np.random.Generator:
    """Return the generator that belongs to `key` under `seed`.

    Args:
        seed: The campaign's seed, any non-negative integer.
        *key: What the numbers are for, such as ``(3, "ask")``. Order matters; `1` and `"1"` differ.

    Returns:
        A generator whose draws depend on `seed` and `key` alone, on every platform.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
