"""A judge of pictures of the Moji world: which things it shows, how many of each, on what background, in what style.

It is a small convolutional network that was trained on scenes alone and shares nothing with any encoder, so that a
generator which was conditioned on an encoder, or chosen by one, is measured by something else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import ImageLike
from desiderata.foundation.judge_network import JudgeNetwork, load_network
from desiderata.foundation.sampling import padded_batches

_BATCH = 32
"""Pictures at a time."""


class Thing(Protocol):
    """Objects of one concept, such as `worlds.moji.scene.Group`."""

    @property
    def concept(self) -> str:
        """Its name."""
        ...

    @property
    def count(self) -> int:
        """How many there are."""
        ...


class Asked(Protocol):
    """What a picture was asked to show, such as `worlds.moji.scene.Scene`."""

    @property
    def groups(self) -> Sequence[Thing]:
        """What it shows; the first is its subject."""
        ...

    @property
    def background(self) -> str:
        """Its name."""
        ...

    @property
    def style(self) -> str:
        """Its name."""
        ...


@dataclass(frozen=True, eq=False)
class Chances:
    """What the judge holds likely, of n pictures.

    Attributes:
        counts: Shape (n, concepts, most + 1), of 0, 1, ... things of each concept.
        background: Shape (n, backgrounds).
        style: Shape (n, styles).
    """

    counts: NDArray[np.float64]
    background: NDArray[np.float64]
    style: NDArray[np.float64]

    @property
    def shown(self) -> NDArray[np.float64]:
        """Shape (n, concepts), that there is one or more."""
        return 1 - self.counts[:, :, 0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one picture shows.

    Attributes:
        shown: Concept -> its probability, of all that are more likely shown than not, the likeliest first.
        counts: Concept -> the likeliest number, of the same concepts.
        background: The likeliest.
        background_probability: Its probability.
        style: The likeliest.
        style_probability: Its probability.
    """

    shown: Mapping[str, float]
    counts: Mapping[str, int]
    background: str
    background_probability: float
    style: str
    style_probability: float


@dataclass(frozen=True, slots=True)
class Score:
    """Whether one picture shows what was asked for.

    Attributes:
        subject: The first thing asked for is shown.
        objects: Everything asked for is shown.
        counts: Everything is shown as often as asked for.
        nothing_else: Nothing is shown that was not asked for.
        background: The background is the one asked for.
        style: The style is the one asked for.
    """

    subject: bool
    objects: bool
    counts: bool
    nothing_else: bool
    background: bool
    style: bool


class Judge:
    """A frozen network with the names of what it tells apart.

    Args:
        network: The network.
        device: Where it runs, such as "cpu" or "cuda".
    """

    def __init__(self, network: JudgeNetwork, device: str = "cpu") -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.config, self.device = network.config, device

    @torch.inference_mode()
    def chances(self, images: Sequence[ImageLike]) -> Chances:
        """Return probabilities of everything.

        Args:
            images: RGB pictures of any size.

        Returns:
            The probabilities.
        """
        rows: dict[str, list[NDArray[np.float64]]] = {"counts": [], "background": [], "style": []}
        # Batches are filled up, so that what is said of a picture does not depend on those beside it.
        for batch, n in padded_batches([_pixels(image, self.config.size) for image in images], _BATCH):
            values = torch.from_numpy(np.stack(batch)).to(self.device).permute(0, 3, 1, 2).float() / 255
            logits = self.network(values)
            for name, parts in rows.items():
                parts.append(logits[name][:n].double().softmax(-1).cpu().numpy())
        shapes = {
            "counts": (0, len(self.config.concepts), self.config.most + 1),
            "background": (0, len(self.config.backgrounds)),
            "style": (0, len(self.config.styles)),
        }
        return Chances(**{name: np.concatenate([np.empty(shapes[name]), *parts]) for name, parts in rows.items()})

    def look(self, images: Sequence[ImageLike]) -> list[Verdict]:
        """Say what pictures show.

        Args:
            images: RGB pictures of any size.

        Returns:
            One verdict for each.
        """
        chances = self.chances(images)
        verdicts: list[Verdict] = []
        for shown, counts, background, style in zip(chances.shown, chances.counts, chances.background, chances.style):
            seen = [int(place) for place in np.argsort(-shown) if shown[place] > 0.5]
            numbers = 1 + counts[:, 1:].argmax(1)
            verdicts.append(
                Verdict(
                    {self.config.concepts[place]: float(shown[place]) for place in seen},
                    {self.config.concepts[place]: int(numbers[place]) for place in seen},
                    self.config.backgrounds[int(background.argmax())],
                    float(background.max()),
                    self.config.styles[int(style.argmax())],
                    float(style.max()),
                )
            )
        return verdicts

    def score(self, images: Sequence[ImageLike], scenes: Sequence[Asked]) -> list[Score]:
        """Say whether pictures show what they were asked to show.

        Args:
            images: RGB pictures of any size.
            scenes: What each was asked to show.

        Returns:
            One score for each.

        Raises:
            DesiderataError: There are more or fewer scenes than pictures, or one names what the judge does not know.
        """
        if len(images) != len(scenes):
            raise DesiderataError(f"{len(images)} pictures do not pair up with {len(scenes)} scenes: give one each.")
        for scene in scenes:
            self._check(scene)
        scores: list[Score] = []
        for verdict, scene in zip(self.look(images), scenes):
            asked = {group.concept: group.count for group in scene.groups}
            scores.append(
                Score(
                    subject=scene.groups[0].concept in verdict.shown,
                    objects=asked.keys() <= verdict.shown.keys(),
                    counts=all(verdict.counts.get(concept) == count for concept, count in asked.items()),
                    nothing_else=verdict.shown.keys() <= asked.keys(),
                    background=verdict.background == scene.background,
                    style=verdict.style == scene.style,
                )
            )
        return scores

    def identity(self, images: Sequence[ImageLike], subject: str) -> NDArray[np.float64]:
        """Return the probability that each picture shows a subject.

        Args:
            images: RGB pictures of any size.
            subject: One of the judge's concepts, held-out subjects included.

        Returns:
            Shape (n,), from 0 to 1.
        """
        return self.chances(images).shown[:, self._place(subject)]

    def _place(self, concept: str) -> int:
        if concept not in self.config.concepts:
            raise DesiderataError(
                f"The judge was not trained to see {concept!r}: choose from {', '.join(self.config.concepts)}."
            )
        return self.config.concepts.index(concept)

    def _check(self, scene: Asked) -> None:
        for group in scene.groups:
            self._place(group.concept)
        for what, name, known in (
            ("background", scene.background, self.config.backgrounds),
            ("style", scene.style, self.config.styles),
        ):
            if name not in known:
                raise DesiderataError(f"The judge knows no {what} {name!r}: choose from {', '.join(known)}.")


def load_judge(name: str = "moji-judge", *, device: str = "cpu") -> Judge:
    """Load a judge.

    Args:
        name: A registered name, or the path of a model directory.
        device: Where it runs.

    Returns:
        The frozen judge, in float32.
    """
    return Judge(load_network(name), device)


def _pixels(image: ImageLike, size: int) -> NDArray[np.uint8]:
    """Return a picture as (size, size, 3) bytes.

    Args:
        image: The picture.
        size: Pixels on a side.

    Returns:
        The bytes.

    Raises:
        DesiderataError: It is no picture.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DesiderataError(
                f"A picture was given to the judge as an array of {image.dtype} of shape {image.shape}: give RGB "
                "bytes of shape (height, width, 3)."
            )
        image = Image.fromarray(image)
    picture = image.convert("RGB")
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)
