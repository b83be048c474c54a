"""What a personalised generator is worth: TXT-ALN, IMG-ALN and OVF on sentences that it never learns from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.blobs import Blobs
from desiderata.campaign.config import Config
from desiderata.errors import DesiderataError
from desiderata.measure.alignment import align_embedded
from desiderata.personalize.anchors import Anchor, anchors_of, measuring_templates
from desiderata.personalize.candidates import slug
from desiderata.personalize.drawing import SEEDS, Easel, Report, Wanted, kept_picture
from desiderata.personalize.subject import Subject
from desiderata.randomness import stream

if TYPE_CHECKING:  # a run is looked at without them
    from desiderata.foundation.encoder import Encoder
    from desiderata.foundation.picture_encoder import PictureEncoder

PICTURES = 4
"""How many pictures are drawn for each test prompt, unless the configuration says otherwise."""


def measured_folder(round: int, key: str) -> str:
    """Return below which test pictures are kept in a run.

    Args:
        round: The last round of which something was learnt.
        key: Tells the weights apart: a round may be measured before it is closed.

    Returns:
        The folder: "rounds/003/test-0a1b2c3d".
    """
    return f"rounds/{round:03d}/test-{key[:8]}"


@dataclass(frozen=True)
class Measurement:
    """The sentences and seeds by which every round is measured, the same ones each time.

    Attributes:
        subject: What is learnt.
        templates: Sentences with a slot; one that says the same as the references is left out.
        pictures: How many are drawn for each sentence.
        seed: The campaign's.
    """

    subject: Subject
    templates: tuple[str, ...]
    pictures: int
    seed: int

    @classmethod
    def of(cls, config: Config, subject: Subject) -> "Measurement | None":
        """Return what a configuration says; None where it wants nothing measured.

        Raises:
            DesiderataError: It says something that cannot be meant.
        """
        pictures = config.prompts.get("pictures", PICTURES)
        if not isinstance(pictures, int) or isinstance(pictures, bool) or pictures < 0:
            raise DesiderataError(f"pictures is {pictures!r}: give a whole number, or 0 to measure nothing.")
        templates = measuring_templates(config.prompts.get("test", "everyday"), subject.kind, subject.word)
        return cls(subject, templates, pictures, config.seed) if pictures else None

    @property
    def prompts(self) -> tuple[Anchor, ...]:
        """The sentences: drawn with the placeholder, measured without it."""
        return anchors_of(self.subject, self.templates)

    def wanted(self, folder: str) -> list[Wanted]:
        """Return the pictures to draw, kept below `folder`, sentence after sentence."""
        return [
            Wanted(f"{folder}/{slug(prompt.index, prompt.prompt)}/{number:02d}", prompt.prompt, seed)
            for prompt in self.prompts
            for number, seed in enumerate(self._seeds(prompt))
        ]

    def figures(
        self,
        easel: Easel,
        folder: str,
        encoder: "Encoder",
        references: NDArray[np.float64],
        report: Report | None = None,
    ) -> dict[str, float]:
        """Draw the pictures that are not there yet, and measure all of them.

        Args:
            easel: Draws.
            folder: Below which the pictures are kept.
            encoder: Judges.
            references: Shape (r, d), embeddings of the reference pictures.
            report: Called with the number of pictures that there are.

        Returns:
            What `Alignments.figures` has, sentences without the placeholder (a tie is not overfitted here, as in the
            authors' evaluation), left out where no picture could be measured; `pictures`, how many were measured; and
            `blanked`, how many the safety checker blacked out, which count nowhere.
        """
        wanted = self.wanted(folder)
        features, usable = easel.embed(wanted, encoder, f"{folder}.safetensors", report)
        figures = {"pictures": float(usable.sum()), "blanked": float((~usable).sum())}
        if not usable.any():
            return figures
        sentences = encoder.texts([prompt.unedited for prompt in self.prompts for _ in range(self.pictures)])
        plain = encoder.texts(self.subject.non_subjects)
        return align_embedded(features[usable], sentences[usable], references, plain).figures() | figures

    def likeness(
        self, easel: Easel, folder: str, second: "PictureEncoder", references: NDArray[np.float64]
    ) -> dict[str, float]:
        """Compare the same pictures with the references by another encoder (Ruiz et al., 2023, section 4.1).

        Args:
            easel: Has drawn them.
            folder: Below which they are kept.
            second: Knows pictures and no sentences.
            references: Shape (r, d), its embeddings of the reference pictures.

        Returns:
            `dino_aln`, the mean cosine over all pairs of picture and reference; nothing where no picture could be
            measured.
        """
        usable = [picture for picture in easel.draw(self.wanted(folder)) if picture is not None]
        return {"dino_aln": float((second.images(usable) @ references.T).mean())} if usable else {}

    def kept(self, shelf: Blobs, folder: str) -> list[tuple[str, list[NDArray[np.uint8] | None]]]:
        """Return every sentence with its pictures that are kept below `folder`, None for those that are not."""
        found = [kept_picture(shelf, one.name) for one in self.wanted(folder)]
        n = self.pictures
        return [(prompt.prompt, found[row * n : (row + 1) * n]) for row, prompt in enumerate(self.prompts)]

    def _seeds(self, prompt: Anchor) -> list[int]:
        return stream(self.seed, "test", prompt.template).integers(SEEDS, size=self.pictures).tolist()
