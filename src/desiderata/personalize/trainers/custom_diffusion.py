"""Custom Diffusion (Kumari et al., 2023): what the U-Net makes of words is learnt, together with a new word."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from desiderata.foundation.generator import Generator
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.lesson import Lesson, unet_predicts
from desiderata.personalize.trainers.loop import Progress
from desiderata.personalize.trainers.recipe import AS_USUAL, PUBLISHED_CUSTOM, Recipe, Running
from desiderata.personalize.trainers.textual_inversion import new_rows
from desiderata.personalize.trainers.trainer import check_learnt, key_of
from desiderata.personalize.trainers.words import add_words, check_named, check_word

CROSS_ATTENTION = (".attn2.to_k.weight", ".attn2.to_v.weight")


@dataclass(frozen=True)
class CustomDiffusion:
    """Learns keys and values of the U-Net's cross-attention and the embedding of one word; nothing else moves.

    Class pictures and weights as in `DreamBooth`. The published code also scales and shifts the references at random;
    that is not done here, since latents are computed once.

    Attributes:
        placeholder: The new word, as it stands in captions and prompts.
        word: A known word to begin from. (The published code begins from a rare one; a related one is learnt sooner.)
        recipe: What makes the result what it is.
        running: How it is run.
    """

    placeholder: str
    word: str
    recipe: Recipe = PUBLISHED_CUSTOM
    running: Running = AS_USUAL
    name = "custom-diffusion"

    def __post_init__(self) -> None:
        check_word(self.placeholder)

    def train(
        self,
        base: Generator,
        images: Sequence[TrainingImage],
        seed: int,
        *,
        prior: Sequence[TrainingImage] = (),
        checkpoint: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Tensor]:
        """Learn keys, values and the word; see `Trainer.train`.

        Returns:
            The weights, as "unet." and their names, and the word's embedding, shape (1, d), as "token." and the
            placeholder.
        """
        lesson = Lesson.of(base, images, prior, seed, self.recipe, self.running)
        check_named(images, self.placeholder)
        pupil = lesson.pupil()
        rows = new_rows(pupil, self.placeholder, self.word, 1)
        keys_and_values = _keys_and_values(pupil)
        for value in keys_and_values.values():
            value.requires_grad_(True)
        return lesson.run(
            {**keys_and_values, f"token.{self.placeholder}": rows},
            unet_predicts(pupil, lesson.fresh_words(pupil)),
            self.key(),
            checkpoint=checkpoint,
            progress=progress,
            preview=lambda learnt: self.apply(base, learnt),
        )

    def apply(self, base: Generator, learnt: Mapping[str, Tensor]) -> Generator:
        """Put the weights in place and add the word; see `Trainer.apply`.

        Returns:
            The personalised generator.
        """
        token, width = f"token.{self.placeholder}", base.text_encoder.config.hidden_size
        expected = {name: tuple(value.shape) for name, value in _keys_and_values(base).items()}
        check_learnt(self.name, learnt, {**expected, token: (1, width)})
        made = base.copy()
        add_words(made, self.placeholder, learnt[token])
        with torch.no_grad():
            for name, value in _keys_and_values(made).items():
                value.copy_(learnt[name])
        return made

    def key(self) -> str:
        """Return a key of the recipe and the word."""
        return key_of(self.name, recipe=asdict(self.recipe), placeholder=self.placeholder, word=self.word)


def _keys_and_values(generator: Generator) -> dict[str, nn.Parameter]:
    named = generator.unet.named_parameters()
    return {f"unet.{name}": value for name, value in named if name.endswith(CROSS_ATTENTION)}
