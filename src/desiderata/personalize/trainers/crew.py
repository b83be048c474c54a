"""The processes that train together."""

import os
from collections.abc import Iterable

import torch
from torch import Tensor


class Crew:
    """This process alone, or all that `accelerate launch` (or `torchrun`) started.

    The pictures of each forward pass are divided among the processes, and gradients added up, so that the same
    weights come out as from one process, but for rounding. Each process brings a generator on its own device.

    Attributes:
        index: Which of the processes this is, from 0.
        size: How many there are.
    """

    def __init__(self) -> None:
        self.index, self.size = 0, int(os.environ.get("WORLD_SIZE", "1"))
        if self.size > 1:
            from accelerate import PartialState

            state = PartialState()
            self.index, self.size = state.process_index, state.num_processes

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.index == 0

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.size > 1:
            for tensor in tensors:
                torch.distributed.all_reduce(tensor)
