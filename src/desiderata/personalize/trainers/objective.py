"""What the network is asked for: the noise of a picture, or its velocity, each picture with its own weight."""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler


def target(schedule: "DDPMScheduler", latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Return what the network should predict.

    Args:
        schedule: Says what that is: "epsilon" (noise; Ho et al., 2020), "v_prediction" (velocity; Salimans & Ho,
            2022) or "sample" (the clean latents).
        latents: Shape (b, c, h, w).
        noise: Shape (b, c, h, w).
        timesteps: Shape (b,).

    Returns:
        Shape (b, c, h, w).

    Raises:
        DesiderataError: The schedule asks for something else.
    """
    kind = schedule.config["prediction_type"]
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return schedule.get_velocity(latents, noise, cast(torch.IntTensor, timesteps))
    if kind == "sample":
        return latents
    raise DesiderataError(
        f"The model's scheduler predicts {kind!r}: give a model that predicts epsilon, v_prediction or sample."
    )


def weighted_loss(prediction: Tensor, wanted: Tensor, factors: Tensor) -> Tensor:
    """Return the sum over pictures of factor × mean squared error (GAL, Eq. 9: Δ multiplies the loss of its picture).

    Args:
        prediction: Shape (b, c, h, w), in any precision; the loss is computed in that of `wanted`.
        wanted: Shape (b, c, h, w).
        factors: Shape (b,).

    Returns:
        A scalar.
    """
    errors = (prediction.to(wanted.dtype) - wanted).square().flatten(1).mean(1)
    return (factors.to(errors) * errors).sum()
