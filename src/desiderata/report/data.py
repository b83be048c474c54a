"""What a report shows. It knows nothing of campaigns, so that a run and a bench of many runs share one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from desiderata.errors import DesiderataError

MOST_PICTURES = 8
"""Shown for one query; the rest is counted."""


@dataclass(frozen=True, eq=False)
class Curve:
    """How accuracy grew with the number of pictures collected, under one method.

    Attributes:
        method: The method's name, as people should read it.
        examples: Shape (k,), pictures collected at each measurement, the initial ones not counted; rising.
        accuracy: Shape (seeds, k), share of held-out pictures recognised, between 0 and 1. Where two curves have
            the same number of rows, row i of both is taken to be the same seed.

    Raises:
        DesiderataError: If the shapes do not agree or a value is missing or out of range.
    """

    method: str
    examples: NDArray[np.int64]
    accuracy: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.accuracy.ndim != 2 or self.examples.shape != self.accuracy.shape[1:] or not self.accuracy.size:
            raise DesiderataError(
                f"The curve of {self.method!r} has accuracies of shape {self.accuracy.shape} for examples of shape "
                f"{self.examples.shape}; give one row per seed and one column per number of examples."
            )
        if not np.all((self.accuracy >= 0) & (self.accuracy <= 1)):
            raise DesiderataError(
                f"The curve of {self.method!r} has an accuracy that is missing or not between 0 and 1; leave "
                "unfinished runs out."
            )

    @property
    def seeds(self) -> int:
        """The number of runs."""
        return len(self.accuracy)


@dataclass(frozen=True, eq=False)
class Asked:
    """One sentence that the classifier asked for pictures with, and what came of it.

    Attributes:
        round: The round that asked, counted from 1.
        label: The class asked for.
        text: The sentence; empty for a point of feature space that joined the training set without any picture.
        evidence: Why it was asked, as in `Proposal.evidence`: `predicted_gain` in units of validation loss,
            `cosine`, `class_agreement`, `displacement`, or others.
        images: The pictures that came back, RGB of shape (height, width, 3), or the first `MOST_PICTURES` of them;
            none while it is open or when skipped.
        shown: What each picture that came back shows, in the same order.
        realised_gain: By how much the validation loss fell when the answer was learnt, in the units of
            `predicted_gain`; None where nobody measured it.
        skipped: Why it was skipped; empty otherwise.
        id: The query's name within its campaign; may be empty.
        source: Who brought the pictures, such as "archive", which nobody has labelled; may be empty.
        checked: Whether an archive or a generator looked at its pictures, and kept those that look like the class.

    Raises:
        DesiderataError: If pictures and labels do not match, or a picture is not RGB of 8 bits.
    """

    round: int
    label: str
    text: str
    evidence: Mapping[str, float] = field(default_factory=dict)
    images: Sequence[NDArray[np.uint8]] = ()
    shown: Sequence[str] = ()
    realised_gain: float | None = None
    skipped: str = ""
    id: str = ""
    source: str = ""
    checked: bool = True

    def __post_init__(self) -> None:
        if not min(len(self.shown), MOST_PICTURES) <= len(self.images) <= len(self.shown):
            raise DesiderataError(
                f"The query {self.text!r} has {len(self.images)} pictures and {len(self.shown)} labels; give one "
                "label for each picture."
            )
        for image in self.images:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise DesiderataError(
                    f"A picture of the query {self.text!r} has type {image.dtype} and shape {image.shape}; give RGB "
                    "as unsigned bytes of shape (height, width, 3)."
                )


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was taken for which, before anything was collected and at the end.

    Attributes:
        classes: Names, in the order of rows and columns.
        counts_before: Shape (C, C); row: what the picture shows, column: what the classifier said.
        counts_after: Shape (C, C), on the same pictures.

    Raises:
        DesiderataError: If a matrix is not C × C.
    """

    classes: Sequence[str]
    counts_before: NDArray[np.int64]
    counts_after: NDArray[np.int64]

    def __post_init__(self) -> None:
        square = (len(self.classes), len(self.classes))
        if self.counts_before.shape != square or self.counts_after.shape != square:
            raise DesiderataError(
                f"The confusions have shapes {self.counts_before.shape} and {self.counts_after.shape} for "
                f"{len(self.classes)} classes; give one row and one column per class."
            )


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Points of feature space, laid out in the plane; `desiderata.report.layout` makes one from features.

    Attributes:
        initial: Shape (n, 2), the labelled pictures the run began with.
        collected: Shape (m, 2), the pictures that came back.
        validation: Shape (v, 2), the pictures set aside for checking.
        queries: Shape (q, 2), the points the queries aimed at.
        initial_labels: Shape (n,), class names.
        collected_labels: Shape (m,).
        validation_labels: Shape (v,).
        query_labels: Shape (q,).
        method: How the plane was made, in words.
        left_out: How many points were left out to keep the drawing legible.

    Raises:
        DesiderataError: If points and labels are not equally many.
    """

    initial: NDArray[np.float64]
    collected: NDArray[np.float64]
    validation: NDArray[np.float64]
    queries: NDArray[np.float64]
    initial_labels: Sequence[str]
    collected_labels: Sequence[str]
    validation_labels: Sequence[str]
    query_labels: Sequence[str]
    method: str = ""
    left_out: int = 0

    def __post_init__(self) -> None:
        for name, points, labels in (
            ("initial", self.initial, self.initial_labels),
            ("collected", self.collected, self.collected_labels),
            ("validation", self.validation, self.validation_labels),
            ("queries", self.queries, self.query_labels),
        ):
            if points.shape != (len(labels), 2):
                raise DesiderataError(
                    f"The map's {name} points have shape {points.shape} for {len(labels)} labels; give two "
                    "coordinates and one label for each."
                )


@dataclass(frozen=True, eq=False)
class Section:
    """A part of the page that is made elsewhere, and shown as it is.

    Attributes:
        name: Unique within the page, without blanks; links lead to it by this.
        title: What the list of contents calls it.
        html: What it holds, its heading included, as HTML that may be trusted.
    """

    name: str
    title: str
    html: str


@dataclass(frozen=True, eq=False)
class Report:
    """All that one page shows; what is left empty is left out of the page.

    Attributes:
        title: A short name, such as the run's.
        summary: A sentence for the top; empty: it is written from the curves.
        beneath: What stands below it in smaller letters.
        curves: One for each method.
        method: Name of the curve that the queries belong to; empty: the first curve.
        control: Name of the curve that `method` is compared with, such as a random one; empty: none.
        asked: The queries, in the order in which they were asked.
        askers: Names of the methods that asked them, those whose round no curve reaches yet included.
        confusion: Mistakes before and after, or None.
        feature_map: Points in the plane, or None.
        reproduce: What one needs to do it again, such as "Command", "Seed", "Encoder"; shown in this order.
        zero_shot: Accuracy of the encoder alone, without a single labelled picture, between 0 and 1.
        ceiling: Accuracy with far more labelled pictures than anybody would collect, between 0 and 1.
        unit: What was collected, in the singular: "picture", or "example" where there are points without a picture.
        test_examples: How many held-out pictures accuracy was measured on; 0: unknown.
        validated: Whether these are the validation pictures, which requests were chosen with in view, for want of
            test pictures.
        sections: More parts of the page, which come before what one needs to do it again.
        notes: What was skipped or left out of the page and why, a sentence each.

    Raises:
        DesiderataError: If `method` or `control` names no curve.
    """

    title: str
    summary: str = ""
    beneath: str = ""
    curves: Sequence[Curve] = ()
    method: str = ""
    control: str = ""
    asked: Sequence[Asked] = ()
    askers: Sequence[str] = ()
    confusion: Confusion | None = None
    feature_map: FeatureMap | None = None
    reproduce: Mapping[str, str] = field(default_factory=dict)
    zero_shot: float | None = None
    ceiling: float | None = None
    unit: str = "picture"
    test_examples: int = 0
    validated: bool = False
    sections: Sequence[Section] = ()
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        known = [curve.method for curve in self.curves]
        for name in (self.method, self.control):
            if name and name not in known:
                raise DesiderataError(
                    f"The report speaks of {name!r}, which has no curve; choose from {', '.join(known) or 'none'}."
                )

    @property
    def grown(self) -> bool:
        """Whether anything was learnt: a curve has two measurements or more, and pictures between them."""
        return any(len(curve.examples) > 1 and curve.examples[-1] > 0 for curve in self.curves)

    @property
    def main(self) -> Curve | None:
        """The curve of the method that the queries belong to."""
        return self._named(self.method) or (self.curves[0] if self.curves else None)

    @property
    def compared(self) -> Curve | None:
        """The curve it is compared with."""
        return self._named(self.control)

    def _named(self, method: str) -> Curve | None:
        return next((curve for curve in self.curves if curve.method == method), None)
