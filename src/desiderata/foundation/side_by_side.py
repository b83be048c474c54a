"""Batches of a small network side by side, each on a thread of its own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


def side_by_side(make: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
    """Make something of every item, as many at a time as torch may use threads, each on a single one.

    Threads that share a small matrix product wait for one another, those that have a batch each do not; and what
    comes of an item does not depend on how many threads there are. A single item has a single thread.

    Args:
        make: Called from several threads at once; torch lets go of the interpreter where it computes.
        items: What something is made of.

    Yields:
        What was made, in the order of the items.
    """
    threads = torch.get_num_threads()
    try:
        if threads == 1 or len(items) < 2:
            torch.set_num_threads(1)
            yield from map(make, items)
        else:
            # each thread sets its own number, and, until the end, that of threads which begin elsewhere
            with ThreadPoolExecutor(min(threads, len(items)), "batch", torch.set_num_threads, (1,)) as pool:
                yield from pool.map(make, items)
    finally:
        torch.set_num_threads(threads)
