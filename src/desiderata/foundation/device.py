"""Where models run: on the processor, or on a graphics processor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from desiderata.errors import DesiderataError
from desiderata.foundation.registry import first_line


def check_device(device: str | torch.device) -> None:
    """Make sure that something can be computed on a device.

    Args:
        device: Such as "cpu" or "cuda".

    Raises:
        DesiderataError: There is none of that name here.
    """
    try:
        torch.device(device)
    except RuntimeError:  # which lists two dozen that nobody has
        raise DesiderataError(f"No device is called {device!r}: give cpu, or cuda where there is one.") from None
    with on(device):
        torch.zeros(1, device=device)


@contextmanager
def on(device: str | torch.device) -> Iterator[None]:
    """Say plainly that there is no such device, where that is why the block fails.

    Args:
        device: What the block uses.

    Yields:
        Nothing.

    Raises:
        DesiderataError: There is no such device, or it has no memory left.
    """
    try:
        yield
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
        raise DesiderataError(
            f"The device {str(device)!r} cannot be used ({first_line(error)}): give cpu, or cuda where there is one "
            "with memory left."
        ) from error


@contextmanager
def memory_for(doing: str, device: str | torch.device, ways: Sequence[str]) -> Iterator[None]:
    """Say how to do with less memory, where that is why the block fails.

    Args:
        doing: What the block does, such as "draw a picture".
        device: What it does it on.
        ways: What would need less, each something to do.

    Yields:
        Nothing.

    Raises:
        DesiderataError: The device has not the memory.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DesiderataError(
            f"The device {str(device)!r} has not the memory to {doing}: {', or '.join(ways) or 'take one with more'}."
        ) from error
