"""Which pictures a step draws, and with what weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desiderata.personalize.trainers.recipe import Recipe
from desiderata.randomness import stream


@dataclass(frozen=True, eq=False)
class Draw:
    """What one forward pass learns from.

    Attributes:
        rows: Shape (b,), indices into the pictures of the subject followed by the class pictures.
        factors: Shape (b,); the step's loss is the sum over its draws of factor × mean squared error of that picture.
    """

    rows: NDArray[np.int64]
    factors: NDArray[np.float64]


class Schedule:
    """The order of the pictures, epoch by epoch.

    An epoch has as many items as there are pictures of the subject or class pictures, whichever are more; item i is
    picture i modulo their number, paired with class picture i modulo theirs, as in the authors' code. Each epoch is
    shuffled by a random stream of its own, so that any step can be asked for without those before it.

    Args:
        weights: Weights of the pictures of the subject; at least one.
        priors: Number of class pictures.
        recipe: Sizes and weights.
        seed: Seeds the order.
    """

    def __init__(self, weights: Sequence[float], priors: int, recipe: Recipe, seed: int) -> None:
        self._weights = np.asarray(weights, dtype=np.float64)
        self._priors = priors
        self._recipe = recipe
        self._seed = seed
        self._length = max(len(self._weights), priors)
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))

    def step(self, number: int) -> list[Draw]:
        """Return the draws of a step, counted from 0: one for each pass of `accumulation`."""
        passes = self._recipe.accumulation
        return [self._draw(self._items(number * passes + index)) for index in range(passes)]

    def full_weight_steps(self) -> float:
        """Return how many steps' worth of loss came from pictures of weight 1 or more, from 0 to `steps`.

        A batch counts by its share of such pictures; in batches of one this is the number of steps that drew one.
        """
        return float(
            sum(self._full_share(draw) for number in range(self._recipe.steps) for draw in self.step(number))
        )

    def thinned(self) -> float:
        """Return what is left of the mean squared gradient, as against pictures of full weight alone, 0 to 1.

        The gradient of a picture is taken to be mostly noise, as those of diffusion models are, with its noise and
        its timestep drawn anew for every step: squares add up, and all pictures' are alike.
        """
        draws = [draw for number in range(self._recipe.steps) for draw in self.step(number)]
        full = [np.where(draw.rows < len(self._weights), 1.0, self._recipe.prior_weight) for draw in draws]
        sizes = [(draw.rows < len(self._weights)).sum() * self._recipe.accumulation for draw in draws]
        left = sum((draw.factors**2).sum() for draw in draws)
        return float(left / sum(((one / size) ** 2).sum() for one, size in zip(full, sizes, strict=True)))

    def _full_share(self, draw: Draw) -> float:
        own = draw.rows[draw.rows < len(self._weights)]
        return float((self._weights[own] >= 1).mean()) / self._recipe.accumulation

    def _items(self, index: int) -> NDArray[np.int64]:
        """Return the items of the forward pass `index`, counted from 0 over all steps."""
        batch = self._recipe.batch
        if self._recipe.whole_batches:
            return np.array([self._item(position) for position in range(index * batch, (index + 1) * batch)])
        epoch, place = divmod(index, -(-self._length // batch))
        return self._order(epoch)[place * batch : (place + 1) * batch]

    def _item(self, position: int) -> np.int64:
        epoch, place = divmod(position, self._length)
        return self._order(epoch)[place]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if self._epoch[0] != epoch:
            self._epoch = epoch, stream(self._seed, "train", "epoch", epoch).permutation(self._length)
        return self._epoch[1]

    def _draw(self, items: NDArray[np.int64]) -> Draw:
        own = items % len(self._weights)
        weights = self._weights[own]
        rows, factors = own, weights
        if self._priors:
            paired = weights if self._recipe.prior == "published" else np.ones(len(items))
            rows = np.concatenate([own, len(self._weights) + items % self._priors])
            factors = np.concatenate([weights, self._recipe.prior_weight * paired])
        return Draw(rows, factors / (len(items) * self._recipe.accumulation))
