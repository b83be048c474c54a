"""Textual Inversion (Gal et al., 2023): the generator stays as it is, and one new word is learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor, nn

from desiderata.errors import DesiderataError
from desiderata.foundation.generator import Generator
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.lesson import Lesson, unet_predicts
from desiderata.personalize.trainers.loop import Progress
from desiderata.personalize.trainers.recipe import AS_USUAL, PUBLISHED_WORD, Recipe, Running
from desiderata.personalize.trainers.trainer import check_learnt, key_of
from desiderata.personalize.trainers.words import (
    add_words,
    check_named,
    check_word,
    embedding_of,
    learn_words,
    save_words,
)


@dataclass(frozen=True)
class TextualInversion:
    """Learns the embedding of one word, and nothing else moves.

    Class pictures teach it nothing, since they do not have the word, and are left out.

    Attributes:
        placeholder: The new word, as it stands in captions and prompts.
        word: A known word to begin from, such as "toy"; of several tokens the mean.
        vectors: How many tokens the word stands for.
        recipe: What makes the result what it is.
        running: How it is run.

    Raises:
        DesiderataError: There would be no vector, or the word is none.
    """

    placeholder: str
    word: str
    vectors: int = 1
    recipe: Recipe = PUBLISHED_WORD
    running: Running = AS_USUAL
    name = "textual-inversion"

    def __post_init__(self) -> None:
        check_word(self.placeholder)
        if self.vectors < 1:
            raise DesiderataError(f"vectors is {self.vectors}: give at least 1.")

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
        """Learn the word; see `Trainer.train`.

        Returns:
            Its embeddings, shape (vectors, d), as "token." and the placeholder.
        """
        lesson = Lesson.of(base, images, (), seed, self.recipe, self.running)
        check_named(images, self.placeholder)
        pupil = lesson.pupil()
        rows = new_rows(pupil, self.placeholder, self.word, self.vectors)
        return lesson.run(
            {f"token.{self.placeholder}": rows},
            unet_predicts(pupil, lesson.fresh_words(pupil)),
            self.key(),
            checkpoint=checkpoint,
            progress=progress,
            preview=lambda learnt: self.apply(base, learnt),
        )

    def apply(self, base: Generator, learnt: Mapping[str, Tensor]) -> Generator:
        """Add the word to tokenizer and text encoder; see `Trainer.apply`.

        Returns:
            The personalised generator.
        """
        name, width = f"token.{self.placeholder}", base.text_encoder.config.hidden_size
        check_learnt(self.name, learnt, {name: (self.vectors, width)})
        made = base.copy()
        add_words(made, self.placeholder, learnt[name])
        return made

    def save(self, learnt: Mapping[str, Tensor], folder: Path) -> Path:
        """Write a file that `pipeline.load_textual_inversion` of plain `diffusers` loads; see `save_words`.

        Returns:
            The file.
        """
        return save_words(self.placeholder, learnt[f"token.{self.placeholder}"], folder)

    def key(self) -> str:
        """Return a key of the recipe and the word."""
        return key_of(
            self.name,
            recipe=asdict(self.recipe),
            placeholder=self.placeholder,
            word=self.word,
            vectors=self.vectors,
        )


def new_rows(pupil: Generator, placeholder: str, word: str, vectors: int) -> nn.Parameter:
    """Teach a pupil a new word whose embeddings learn.

    Args:
        pupil: Whose tokenizer and text encoder get the word.
        placeholder: The word.
        word: A known word to begin from.
        vectors: How many tokens it stands for.

    Returns:
        The embeddings, shape (vectors, d), float32.
    """
    rows = nn.Parameter(embedding_of(pupil, word).repeat(vectors, 1))
    learn_words(pupil, add_words(pupil, placeholder, rows.detach()), rows)
    return rows
