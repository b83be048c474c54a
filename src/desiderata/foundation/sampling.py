"""How a generator is sampled, and what comes of it."""

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from desiderata.errors import DesiderataError
from desiderata.foundation.pipelines import quiet

if TYPE_CHECKING:
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

FILE = "sampling.json"
"""The file of a model directory that says how it is sampled best."""

SOLVERS = {"": None, "ddim": "DDIMScheduler", "dpm-solver++": "DPMSolverMultistepScheduler", "pndm": "PNDMScheduler"}
"""Names of solvers, and the classes of `diffusers` that they stand for; the empty one is the pipeline's own."""

Item = TypeVar("Item")


def bfloat16_is_fast(device: str = "auto") -> bool:
    """Return whether a device has units for bfloat16, without which it is slower there than float32.

    Args:
        device: "cpu", "cuda", or "auto" for the latter where there is one.
    """
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    units = torch.cpu.get_capabilities()
    return device != "cuda" and any(units.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn where nothing else is said.

    Attributes:
        steps: Of denoising, for each picture.
        guidance: Scale of classifier-free guidance (Ho and Salimans, 2022); at 1 or less there is none.
        batch: Pictures at a time. Fewer are filled up, so that a batch much larger than what is asked for is slow.
        solver: What follows the noise to the picture, one of `SOLVERS`; the pipeline's own by default.
        half: Whether a U-Net whose weights are float32 computes in bfloat16: on processors with units for it, less
            than half the time (0.26 s instead of 0.66 s a step of 32 pictures of moji-diffusion), otherwise more.

    Raises:
        DesiderataError: One of them makes no sense.
    """

    steps: int = 50
    guidance: float = 7.5
    batch: int = 8
    solver: str = ""
    half: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise DesiderataError(f"{name} is {value!r}, but must be a whole number of at least 1: correct it.")
        if not isinstance(self.guidance, Real) or isinstance(self.guidance, bool) or not isfinite(self.guidance):
            raise DesiderataError(f"guidance is {self.guidance!r}, but must be a number: try 7.5, or 1 for none.")
        if not isinstance(self.half, bool):
            raise DesiderataError(f"half is {self.half!r}, but can only be true or false: choose one.")
        if self.solver not in SOLVERS:
            known = ", ".join(filter(None, SOLVERS))
            raise DesiderataError(f"No solver is called {self.solver!r}: choose from {known}, or leave it out.")

    @classmethod
    def of(cls, folder: Path) -> "Sampling":
        """Read what a model directory says, or take the defaults, which are Stable Diffusion's.

        Args:
            folder: The model directory.

        Returns:
            How to sample it.

        Raises:
            DesiderataError: It says something that makes no sense.
        """
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            said = json.loads(path.read_text("utf-8"))
            return cls(**said)
        except (OSError, ValueError, TypeError, DesiderataError) as error:
            known = ", ".join(field.name for field in fields(cls))
            raise DesiderataError(
                f"{path} does not say how to sample the model ({str(error).rstrip('.')}): "
                f"give an object with {known}, or remove it."
            ) from None

    def save(self, folder: Path) -> None:
        """Write it into a model directory."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")


@dataclass(frozen=True, eq=False)
class Generation:
    """One picture that a generator made.

    Attributes:
        image: Shape (height, width, 3), RGB.
        prompt: What was asked for.
        seed: What its noise was drawn from.
        blanked: Whether the pipeline's safety checker blacked it out: then it shows nothing.
    """

    image: NDArray[np.uint8]
    prompt: str
    seed: int
    blanked: bool


@contextmanager
def set_for(pipeline: "StableDiffusionPipeline", sampling: Sampling) -> Iterator[None]:
    """Put a solver and a precision in place for as long as pictures are drawn.

    Args:
        pipeline: Left as it was, whatever happens.
        sampling: Says which.
    """
    import diffusers

    scheduler, unet = cast(Any, pipeline).scheduler, cast(Any, pipeline).unet
    solver, forward, own = SOLVERS[sampling.solver], unet.forward, vars(unet).get("forward")
    try:
        if solver is not None:
            with quiet():
                pipeline.register_modules(scheduler=getattr(diffusers, solver).from_config(scheduler.config))
        if sampling.half and unet.dtype == torch.float32:  # others compute as they are

            def coarse(*args: Any, **options: Any) -> tuple[Any, ...]:
                with torch.autocast(unet.device.type, torch.bfloat16):
                    made = forward(*args, **options)
                # guidance multiplies a small difference, which is taken in full precision
                return tuple(out.float() for out in made)

            unet.forward = coarse
        yield
    finally:
        vars(unet).pop("forward", None)
        if own is not None:
            unet.forward = own
        pipeline.register_modules(scheduler=scheduler)


def with_own_scheduler(pipeline: "StableDiffusionPipeline") -> Any:
    """Return a pipeline of the same modules with a scheduler of its own, which remembers where a drawing stands.

    Args:
        pipeline: Left as it is.

    Returns:
        One that may draw at the same time.
    """
    scheduler, made = cast(Any, pipeline).scheduler, copy.copy(pipeline)
    made.register_modules(scheduler=type(scheduler).from_config(scheduler.config))
    return made


def padded_batches(items: Sequence[Item], size: int) -> Iterator[tuple[list[Item], int]]:
    """Cut into batches of one size, the last filled up with its last item.

    A matrix product rounds differently in batches of different shapes; in batches of one shape the same item gives
    the same result, whatever it is computed with. (On one thread: where several share a batch out by its rows, a last
    bit may depend on an item's place.)

    Args:
        items: What is cut.
        size: Of every batch.

    Yields:
        A list of `size` items, and how many of them are not filling.
    """
    for start in range(0, len(items), size):
        batch = list(items[start : start + size])
        yield batch + batch[-1:] * (size - len(batch)), len(batch)


def to_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Turn intensities into bytes.

    Args:
        values: Any shape, 0 to 1.

    Returns:
        The same shape, 0 to 255.
    """
    return (values * 255).round().astype(np.uint8)
