"""How well pictures fit their sentences and their references: TXT-ALN, IMG-ALN and OVF of GAL (section 4).

One of them alone is easily had: copies of the references have the best IMG-ALN. All three belong together.
`cells` puts the figures of several runs together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.foundation.encoder import Encoder, ImageLike

CODE_SCALE = 2.5
"""The authors' evaluation reports text similarities times 2.5, as CLIPScore does (Hessel et al., 2021), but without
CLIPScore's cut at 0."""

Figures = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Alignments:
    """What was measured on n pictures of one generator.

    Attributes:
        text: Shape (n,), cosine of each picture to its prompt.
        image: Shape (n,), mean cosine of each picture to all references.
        overfitted: Shape (n,), whether a picture fits a non-subject prompt better than its own.
    """

    text: Figures
    image: Figures
    overfitted: Flags

    def figures(self) -> dict[str, float]:
        """Return the measures as published, each a mean over the pictures.

        Returns:
            `txt_aln` (cosine, as in the paper's tables), `txt_aln_2.5x` (as the authors' code prints it), `img_aln`
            (the mean over all pairs of picture and reference) and `ovf` (share of overfitted pictures, 0 to 1).

        Raises:
            DesiderataError: There are no pictures.
        """
        if not len(self.text):
            raise DesiderataError("No pictures have no alignment: draw some, or leave this generator out.")
        text = float(self.text.mean())
        return {
            "txt_aln": text,
            "txt_aln_2.5x": CODE_SCALE * text,
            "img_aln": float(self.image.mean()),
            "ovf": float(self.overfitted.mean()),
        }


def align(
    images: Sequence["ImageLike"],
    prompts: Sequence[str],
    references: Sequence["ImageLike"],
    plain_prompts: Sequence[str],
    encoder: "Encoder",
    *,
    ties: bool = False,
) -> Alignments:
    """Measure everything, each picture embedded once.

    Args:
        images: n pictures; those that a safety checker blanked show nothing, and have to be left out before.
        prompts: One for each, in the words that are measured by: without the placeholder of the subject.
        references: The pictures that the subject was learnt from.
        plain_prompts: The non-subject prompts: what else the references show, such as "a toy on a wooden table".
        encoder: CLIP ViT-B/32 in the paper.
        ties: See `overfitting`.

    Returns:
        The measures of each picture.

    Raises:
        DesiderataError: There are not as many prompts as pictures, or no references or non-subject prompts.
    """
    made = _embedded(images, prompts, encoder)
    return align_embedded(
        made, encoder.texts(prompts), encoder.images(references), encoder.texts(_several(plain_prompts)), ties=ties
    )


def align_embedded(
    images: Figures, prompts: Figures, references: Figures, plain_prompts: Figures, *, ties: bool = False
) -> Alignments:
    """Measure everything from embeddings, all of unit length.

    Args:
        images: Shape (n, d).
        prompts: Shape (n, d).
        references: Shape (r, d).
        plain_prompts: Shape (p, d).
        ties: See `overfitting`.

    Returns:
        The measures of each picture.

    Raises:
        DesiderataError: There are no references or non-subject prompts.
    """
    text = _cosines(images, prompts)
    return Alignments(text, _to_references(images, references), _overfitted(images, text, plain_prompts, ties))


def text_alignment(images: Sequence["ImageLike"], prompts: Sequence[str], encoder: "Encoder") -> Figures:
    """Return how well each picture fits its prompt (TXT-ALN of single pictures).

    Args:
        images: n pictures.
        prompts: One for each.
        encoder: Embeds both.

    Returns:
        Shape (n,), cosines; the authors' code prints `CODE_SCALE` times as much.

    Raises:
        DesiderataError: There are not as many prompts as pictures.
    """
    return _cosines(_embedded(images, prompts, encoder), encoder.texts(prompts))


def image_alignment(images: Sequence["ImageLike"], references: Sequence["ImageLike"], encoder: "Encoder") -> Figures:
    """Return how like the references each picture is (IMG-ALN of single pictures).

    Args:
        images: n pictures.
        references: What they are compared with.
        encoder: Embeds both.

    Returns:
        Shape (n,), the mean cosine to all references; the mean of it is the mean over all pairs.

    Raises:
        DesiderataError: There are no references.
    """
    return _to_references(encoder.images(images), encoder.images(references))


def overfitting(
    images: Sequence["ImageLike"],
    prompts: Sequence[str],
    plain_prompts: Sequence[str],
    encoder: "Encoder",
    *,
    ties: bool = False,
) -> Flags:
    """Tell which pictures fit a non-subject prompt better than their own (Φ, Eq. 8; its mean is OVF).

    Of several non-subject prompts the nearest counts. A tie is not overfitted by default, as in the authors'
    notebooks, which test text < plain and gave the published figures; their code that chooses directions tests
    not text > plain, where a tie is, and `ties` does the same. A prompt that is itself a non-subject prompt is always
    a tie, to the last bit; between different sentences there are hardly any.

    Args:
        images: n pictures.
        prompts: One for each.
        plain_prompts: The non-subject prompts.
        encoder: Embeds all of them.
        ties: Whether a tie counts as overfitted.

    Returns:
        Shape (n,).

    Raises:
        DesiderataError: There are not as many prompts as pictures, or no non-subject prompts.
    """
    made = _embedded(images, prompts, encoder)
    plain = encoder.texts(_several(plain_prompts))
    return _overfitted(made, _cosines(made, encoder.texts(prompts)), plain, ties)


def _embedded(images: Sequence["ImageLike"], prompts: Sequence[str], encoder: "Encoder") -> Figures:
    said = 1 if isinstance(prompts, str) else len(prompts)
    if len(images) != said:
        raise DesiderataError(
            f"{len(images)} pictures and {said} prompts do not pair up: give the prompt of each picture."
        )
    return encoder.images(images)


def _cosines(a: Figures, b: Figures) -> Figures:
    # not a matrix product, which may round one and the same pair in two ways: ties would be none
    return (a * b).sum(axis=-1)


def _several(prompts: Sequence[str]) -> Sequence[str]:
    return [prompts] if isinstance(prompts, str) else prompts


def _to_references(made: Figures, references: Figures) -> Figures:
    if not len(references):
        raise DesiderataError("There are no references to compare pictures with: give one at least.")
    return _cosines(made, references.mean(axis=0))


def _overfitted(made: Figures, text: Figures, plain_prompts: Figures, ties: bool) -> Flags:
    if not len(plain_prompts):
        raise DesiderataError("There is no non-subject prompt to overfit to: say what else the references show.")
    plain = np.stack([_cosines(made, prompt) for prompt in plain_prompts]).max(axis=0)
    return text <= plain if ties else text < plain
