"""A generator that learns a subject, as the learner of a campaign."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from PIL import Image

from desiderata.campaign.blobs import Blobs, MemoryBlobs
from desiderata.campaign.learner import Example, Held
from desiderata.campaign.records import Exchange, Features
from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import Encoder
from desiderata.foundation.generator import Generator
from desiderata.foundation.picture_encoder import PictureEncoder
from desiderata.personalize.anchors import anchors_of, remaining, used_up
from desiderata.personalize.candidates import Candidates, draw_candidates
from desiderata.personalize.measurement import Measurement, measured_folder
from desiderata.personalize.pictures import Reference, keep_class, keep_references, square
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.subject import Subject
from desiderata.personalize.teaching import Progress, Teacher
from desiderata.personalize.trainers.trainer import Trainer

PART = "reference"
"""What the pictures of the subject are called among those that the campaign holds."""

MEASURED_BEFORE = ("mean_entropy", "openness")
"""What is known of the choice that led to a round, and told with the round's figures."""


class PersonalizeLearner:
    """A generator taught a subject from the references and from everything that was chosen since.

    Every round begins from the base model again and learns all pictures gathered so far, references with weight 1 and
    answers with the weights recorded, captioned by their anchor prompts.

    Args:
        generator: The base model, which is left as it is.
        encoder: Judges pictures. Its `name` is the name under which embeddings are kept.
        trainer: How the subject is learnt.
        subject: What is learnt.
        references: Pictures of it.
        anchors: Templates of the directions that may be asked.
        measurement: By what rounds are measured; None measures nothing.
        second: Loads what measures likeness to the references besides, as `dino_aln`; None for nobody.
        class_pictures: Pictures of the subject's class that keep the base model from forgetting it (prior
            preservation): so many drawn by the base model, or these. A style has none.
        seed: The campaign's.
        shelf: Where pictures are kept as they are drawn, and training where it stands: the files of the run. By
            default in memory.
        memo: Where weights and pictures are kept by what they come from, for other campaigns that learn and draw the
            same; None for nowhere.
        half: Whether what is learnt is rounded to half precision, for files of half the size.
        progress: Told what takes time.

    Attributes:
        teacher: Teaches, and holds what was taught last.
        images: Everything that is learnt from, as the last `fit` or `load` had it.

    Raises:
        DesiderataError: There is no reference, or not as many as the subject has settings.
    """

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        trainer: Trainer,
        subject: Subject,
        references: Sequence[Reference],
        *,
        anchors: Sequence[str],
        measurement: Measurement | None = None,
        second: Callable[[], PictureEncoder] | None = None,
        class_pictures: int | Sequence[Reference] = 0,
        seed: int = 0,
        shelf: Blobs | None = None,
        memo: Blobs | None = None,
        half: bool = False,
        progress: Progress | None = None,
    ) -> None:
        if not references:
            raise DesiderataError("There is no picture of the subject: give one at least.")
        self.encoder, self.subject, self.references = encoder, subject, list(references)
        self.anchors = anchors_of(subject, anchors)
        self.measurement, self.second, self.seed = measurement, second, seed
        self.shelf: Blobs = MemoryBlobs() if shelf is None else shelf
        self.classes = (subject.word,)
        self._class_pictures = class_pictures
        self.teacher = Teacher(
            generator,
            trainer,
            class_prompt=subject.class_prompt,
            class_pictures=class_pictures,
            seed=seed,
            shelf=self.shelf,
            memo=memo,
            half=half,
            progress=progress or (lambda _what, _done, _all: None),
        )
        captions = subject.captions(len(self.references))
        self._given = [TrainingImage(one.image, caption) for one, caption in zip(self.references, captions)]
        self._take([])
        self._chosen = False  # whether anything came of what was asked last

    @property
    def embedding(self) -> str:
        """The name of the encoder."""
        return self.encoder.name

    def held(self) -> Sequence[Held]:
        """Return the references."""
        rows = zip(self.references, self.reference_features, strict=True)
        return [Held(PART, one.name, self.subject.word, one.digest, feature) for one, feature in rows]

    def embed(self, images: Sequence[Image.Image]) -> Features:
        """Return the embeddings of `images`, shape (n, d)."""
        return self.encoder.images(images)

    def fit(self, examples: Sequence[Example], rng: np.random.Generator) -> None:
        """Learn from the references and `examples`, from the base model; draws nothing from `rng`.

        A killed call goes on where it stood.
        """
        keep_references(self.shelf, self.references)
        if not isinstance(self._class_pictures, int):
            keep_class(self.shelf, self._class_pictures)
        before = self._round
        self._take(examples)
        self._chosen = self._round > before
        self.teacher.teach(self.images, self._pace)

    def evaluate(self) -> dict[str, float]:
        """Return what the weights are worth; what a killed call has drawn is not drawn again.

        Returns:
            The figures of `Measurement.figures`, and with a second encoder of `Measurement.likeness`;
            `full_weight_steps`, how many steps' worth of training came from pictures of full weight; `class_blanked`,
            how many class pictures the safety checker blacked out, which are not learnt, where it did; `pace`, the
            factor of the learning rate, where a strategy turned it; and of the choice that led here, where anything
            came of it and it was measured, `mean_entropy` and `openness` (Eq. 9).
        """
        weights = [image.weight for image in self.images]
        figures = {"full_weight_steps": self.teacher.full_weight_steps(weights)}
        if blanked := self.teacher.class_blanked:
            figures["class_blanked"] = float(blanked)
        if self._chosen:
            figures |= {name: self._evidence[name] for name in MEASURED_BEFORE if name in self._evidence}
        figures |= {"pace": self._pace} if self._paces or "steady" in self._evidence else {}
        if self.measurement:
            report = self.teacher.report("Drawing test pictures")
            easel, folder = self.teacher.easel(), self.test_folder
            figures |= self.measurement.figures(easel, folder, self.encoder, self.reference_features, report)
            if self.second:
                second = self.second()
                references = second.images([one.image for one in self.references])
                figures |= self.measurement.likeness(easel, folder, second, references)
        return figures

    def tidy(self) -> None:
        """Remove where training stood: what it came to is recorded."""
        self.teacher.tidy()

    def state(self, exchanges: Sequence[Exchange], round: int) -> PersonalizeState:
        """Return the directions that are left, and how pictures are drawn for them."""
        anchors = remaining(self.anchors, used_up(one.query for one in exchanges))
        centre = self.reference_features.mean(0)

        def candidates(m: int) -> Candidates:
            return draw_candidates(
                self.teacher.easel(),
                self.encoder,
                self.subject,
                anchors,
                m=m,
                round=round,
                seed=self.seed,
                report=self.teacher.report("Drawing candidates"),
            )

        return PersonalizeState(
            round=round,
            subject=self.subject,
            anchors=anchors,
            centre=centre / np.linalg.norm(centre),
            exchanges=exchanges,
            candidates=candidates,
            note=lambda selection: selection.keep(self.shelf),
        )

    def save(self) -> bytes:
        """Return what was learnt as the content of a safetensors file."""
        return self.teacher.save()

    def load(self, weights: bytes, examples: Sequence[Example]) -> None:
        """Stand where `fit` on the same `examples` stood when `save` returned `weights`, to the last bit.

        Raises:
            Damaged: They are not whole.
            DesiderataError: They were learnt from another base model or by another trainer.
        """
        self.teacher.load(weights)
        self._take(examples)
        self._chosen = True

    @property
    def personalised(self) -> Generator:
        """The generator with what was learnt last."""
        return self.teacher.personalised

    @property
    def test_folder(self) -> str:
        """Where the test pictures of what was learnt last are kept in the run."""
        return measured_folder(self._round, self.teacher.key)

    @cached_property
    def reference_features(self) -> Features:
        """Embeddings of the references, shape (r, d)."""
        return self.encoder.images([one.image for one in self.references])

    @property
    def _pace(self) -> float:
        """The factor of the learning rate that the strategy asks for, or an earlier one did before it."""
        pace = self._paces[-1] if self._paces else 1.0
        if "steady" in self._evidence:
            pace *= self.teacher.steady_pace([image.weight for image in self.images])
        return pace

    def _take(self, examples: Sequence[Example]) -> None:
        size = self.teacher.base.size
        chosen = [
            TrainingImage(square(one.image(), size), one.query.text, one.answer.weight)
            for one in examples
            if one.png  # a control may answer itself
        ]
        self._round = max((one.query.round for one in examples), default=0)
        told = [one.query.proposal.evidence for one in examples]
        self._evidence = dict(told[-1]) if told else {}
        self._paces = [evidence["pace"] for evidence in told if "pace" in evidence]
        nothing = replace(self._given[0], weight=0.0)
        self.images = [*self._given, *chosen, *[nothing] * int(self._evidence.get("additions", 0))]
