"""What every cell of an experiment on the Moji world shares, worked out once and kept beside the results."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from desiderata.campaign.config import Config
from desiderata.campaign.features import fingerprint
from desiderata.collect.build import toolbox
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.data import LabelledSet
from desiderata.collect.toolbox import Toolbox
from desiderata.describe.template import plain
from desiderata.files import staged
from desiderata.foundation.encoder import Encoder, load_encoder
from desiderata.randomness import stream
from desiderata.worlds.moji.sampler import Distribution
from desiderata.worlds.moji.scene import CLASSES
from desiderata.worlds.moji.settings import Setting, draw_pictures, setting_named

TEST_SEED = 100_003
"""Seed of the test pictures, the same for every cell."""

CEILING_PER_CLASS = 1000
"""Labelled pictures of each class from the test distribution behind the ceiling line."""

CEILING_L2 = (1e-4, 3e-4, 1e-3, 3e-3)
"""What is tried for the head of the ceiling line."""


@dataclass(frozen=True)
class Sizes:
    """How many pictures of each class.

    Attributes:
        initial: Labelled at the start.
        validation: That strategies may look at.
        test: Measured on.
    """

    initial: int = 10
    validation: int = 10
    test: int = 500


class MojiBench:
    """The world, the frozen models and the embedded pictures of one setting.

    Args:
        setting: Name of the setting.
        folder: Where embeddings are kept between calls.
        encoder: Name of the encoder.
        sizes: How many pictures.
    """

    def __init__(self, setting: str, folder: Path, encoder: str = "moji-clip", sizes: Sizes | None = None) -> None:
        self.setting: Setting = setting_named(setting)
        self.folder, self.sizes, self._encoder = folder, sizes or Sizes(), encoder

    @cached_property
    def encoder(self) -> Encoder:
        """The frozen encoder."""
        return load_encoder(self._encoder)

    @cached_property
    def tools(self) -> Toolbox:
        """What strategies share."""
        return toolbox(Config(world={"kind": "moji"}, encoder=self._encoder), self.encoder, CLASSES)

    def data(self, seed: int) -> tuple[LabelledSet, LabelledSet, LabelledSet]:
        """Return the initial, validation and test sets of one seed; the test set is the same for all."""
        return (
            self._set(self.setting.initial, self.sizes.initial, seed, "initial"),
            self._set(self.setting.target, self.sizes.validation, seed, "validation"),
            self.test,
        )

    @cached_property
    def test(self) -> LabelledSet:
        """The test set."""
        return self._set(self.setting.target, self.sizes.test, TEST_SEED, "test")

    @cached_property
    def zero_shot(self) -> float:
        """Test accuracy of the nearest class name, with no labelled picture at all."""
        names = self.encoder.texts([plain(label) for label in CLASSES])
        return float(np.mean((self.test.features @ names.T).argmax(1) == self.test.labels))

    def ceiling(self, seed: int = 0) -> float:
        """Return the test accuracy of a head fitted on `CEILING_PER_CLASS` pictures a class like the test's.

        How strongly it is regularised is chosen on a fifth of these pictures, and not on the test's.
        """
        rows = self._set(self.setting.target, CEILING_PER_CLASS, seed, "ceiling")
        order = stream(seed, "ceiling").permutation(len(rows))
        held, kept = np.split(order, [len(order) // 5])

        def fitted(l2: float, part: NDArray[np.int64]) -> HeadClassifier:
            head = HeadClassifier(l2=l2, tolerance=1e-4, max_iterations=300)
            return head.fit(rows.features[part], rows.labels[part])

        scores = {l2: fitted(l2, kept).score(rows.features[held], rows.labels[held]) for l2 in CEILING_L2}
        head = fitted(max(scores, key=lambda l2: scores[l2]), order)
        return float(np.mean(head.predict(self.test.features) == self.test.labels))

    def alike(self, per_class: int, seed: int) -> float:
        """Return the test accuracy that as many pictures of each class like the test's bring, added to the initial.

        No sentence comes nearer to the test distribution than its own pictures; only a choice among them can do more.
        """
        initial, _, _ = self.data(seed)
        return self.learnt(seed, initial, self._set(self.setting.target, per_class, seed, "alike"))

    def with_validation(self, seed: int) -> float:
        """Return the test accuracy that the initial and the validation pictures bring together, with no query.

        The validation pictures are like the test's and have labels. Strategies only measure by them; whoever has
        them can learn them, too.
        """
        initial, validation, _ = self.data(seed)
        return self.learnt(seed, initial, validation)

    def learnt(self, seed: int, *sets: LabelledSet) -> float:
        """Return the test accuracy of a head fitted on all of `sets`, as a cell's learner fits it."""
        head = HeadClassifier(seed=seed).fit(
            np.vstack([one.features for one in sets]), np.concatenate([one.labels for one in sets])
        )
        return float(np.mean(head.predict(self.test.features) == self.test.labels))

    def _set(self, distribution: Distribution, per_class: int, seed: int, purpose: str) -> LabelledSet:
        features = self._kept(
            f"{self.setting.name}-{purpose}-{per_class}-{seed}",
            repr(distribution),
            lambda: self.encoder.images(list(draw_pictures(distribution, per_class, seed, purpose).images)),
        )
        return LabelledSet(features, np.repeat(np.arange(len(CLASSES)), per_class))

    def _kept(self, name: str, about: str, make: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        key = hashlib.sha256(f"{about} {fingerprint(self.encoder)}".encode()).hexdigest()[:16]
        path = self.folder / f"{name}-{key}.safetensors"
        if path.exists():
            return load_file(path)["features"]
        features = make()
        with staged(path) as temporary:
            save_file({"features": features}, temporary)
        return features
