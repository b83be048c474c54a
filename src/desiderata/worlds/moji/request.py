"""What a sentence asks for: the parts of a scene that it fixes, and those that it leaves open."""

from dataclasses import dataclass, replace

from desiderata.worlds.moji.scene import CLASSES, MOST_OBJECTS, Scene

ANY_COUNT = tuple(range(1, MOST_OBJECTS + 1))

MIRRORED: dict[str, str] = {
    "next to": "next to",
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}
"""How the second group stands to the first, by how the first stands to the second."""


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """Objects of one concept, their number perhaps left open.

    Attributes:
        concept: A name in the catalogue.
        counts: The numbers that will do, in order: ``(2,)`` for "two cats", ``(2, 3)`` for "cats".
    """

    concept: str
    counts: tuple[int, ...] = ANY_COUNT


@dataclass(frozen=True, slots=True)
class Request:
    """What a sentence says about a scene; None where it leaves the matter open.

    Attributes:
        groups: The groups named, in order, all of different concepts. Empty only with a `subject_class`.
        relation: How the first group stands to the second; one of `RELATIONS`.
        background: One of `BACKGROUNDS`.
        style: One of `STYLES`.
        subject_class: The concept that the picture is to be associated with, where the sentence says so
            apart from its description; see `arranged` for how the two meet.
    """

    groups: tuple[GroupRequest, ...]
    relation: str | None = None
    background: str | None = None
    style: str | None = None
    subject_class: str | None = None

    def arranged(self) -> "Request":
        """Return the request for one picture that shows both the `subject_class` and what is described.

        A picture asked for under a class must be a picture of that class. So

        - a class that the description leaves out becomes the subject, one of it, and the described objects stand
          next to it as far as there is room: numbers shrink and the last groups go when the picture would hold
          more than `MOST_OBJECTS`. A relation among the described objects is then dropped, for a scene relates
          only its subject;
        - a class that the description names after another class moves to the front. The relation between the two
          is turned round ("a cat left of a deer" is "a deer right of a cat"), any other is dropped.

        Returns:
            A request without `subject_class`; this one where it has none.
        """
        subject = self.subject_class
        if subject is None:
            return self
        concepts = [group.concept for group in self.groups]
        if subject not in concepts:
            return self._joined_by(subject)
        place = concepts.index(subject)
        if not any(concept in CLASSES for concept in concepts[:place]):
            return replace(self, subject_class=None)
        groups = (self.groups[place], *self.groups[:place], *self.groups[place + 1 :])
        relation = MIRRORED[self.relation] if self.relation and place == 1 else None
        return replace(self, groups=groups, relation=relation, subject_class=None)

    def _joined_by(self, subject: str) -> "Request":
        if not self.groups:
            return replace(self, groups=(GroupRequest(subject),), subject_class=None)
        groups = [GroupRequest(subject, (1,))]
        room = MOST_OBJECTS - 1
        for group in self.groups:
            if room:
                counts = tuple(count for count in group.counts if count <= room) or (room,)
                groups.append(GroupRequest(group.concept, counts))
                room -= min(counts)
        return replace(self, groups=tuple(groups), relation="next to", subject_class=None)


def fulfils(scene: Scene, request: Request) -> bool:
    """Tell whether a scene shows everything that a request asks for.

    Args:
        scene: What is shown. Objects beyond those asked for do no harm.
        request: What was asked for. It is first `arranged`, so that its `subject_class` must be shown too.

    Returns:
        False as soon as one thing asked for is missing or different. A relation holds turned round as well: a
        picture of a cat left of a dog shows a dog right of a cat.
    """
    wanted = request.arranged()
    shown = {group.concept: group.count for group in scene.groups}
    return (
        all(shown.get(group.concept) in group.counts for group in wanted.groups)
        and wanted.background in (None, scene.background)
        and wanted.style in (None, scene.style)
        and (wanted.relation is None or _stands(scene, wanted))
    )


def _stands(scene: Scene, wanted: Request) -> bool:
    if scene.relation is None:
        return False
    pair = tuple(group.concept for group in scene.groups[:2])
    asked = tuple(group.concept for group in wanted.groups[:2])
    return (pair, scene.relation) == (asked, wanted.relation) or (
        (pair[::-1], MIRRORED[scene.relation]) == (asked, wanted.relation)
    )
