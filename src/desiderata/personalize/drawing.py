"""Drawing many pictures: each is kept as soon as its batch is drawn, so that a kill costs a batch of each thread."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desiderata.campaign.blobs import Blobs
from desiderata.campaign.images import read_image, to_png
from desiderata.errors import Damaged
from desiderata.personalize.tensors import pack, unpack

if TYPE_CHECKING:  # pictures that are kept are looked at without them
    from desiderata.foundation.encoder import Encoder
    from desiderata.foundation.generator import Generator
    from desiderata.foundation.sampling import Generation

Report = Callable[[int, int], None]
"""Called with how much is done, and how much there is to do."""

SEEDS = 2**31
"""Pictures are drawn from seeds below this."""

PASSED, BLANKED = ".png", ".blanked.png"
"""What the name of a picture ends in; a picture that the safety checker blacked out can be told by it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture to be drawn.

    Attributes:
        name: Under which it is kept, without its ending.
        prompt: What is asked for.
        seed: What its noise is drawn from.
    """

    name: str
    prompt: str
    seed: int


@dataclass(frozen=True, eq=False)
class Easel:
    """A generator that is ready to draw.

    Attributes:
        generator: Called only when a picture has to be drawn, since putting weights in place takes time.
        key: Tells its weights and settings apart from all others; see `drawing_key`.
        shelf: Where pictures are kept, by name.
        memo: Where pictures are kept by what they come from, for other campaigns that draw the same; None: nowhere.
    """

    generator: Callable[[], "Generator"]
    key: str
    shelf: Blobs
    memo: Blobs | None = None

    def draw(self, wanted: Sequence[Wanted], report: Report | None = None) -> list[NDArray[np.uint8] | None]:
        """Return pictures, drawing those that are not kept yet.

        Args:
            wanted: The pictures. Each depends on its prompt and seed, and not on what it is drawn with.
            report: Called with the number of pictures that there are, while some are drawn.

        Returns:
            Each picture, shape (height, width, 3), RGB; None for one that the safety checker blacked out.
        """
        report = report or (lambda _done, _all: None)
        missing = [one for one in wanted if not self._is_kept(one)]
        done = len(wanted) - len(missing)
        todo = enumerate(missing, done + 1)

        def keep(made: Sequence["Generation"]) -> None:
            for picture in made:
                number, one = next(todo)
                self._keep(one, to_png(Image.fromarray(picture.image)), BLANKED if picture.blanked else PASSED)
                report(number, len(wanted))

        if missing:
            report(done, len(wanted))
            self.generator().sample([one.prompt for one in missing], [one.seed for one in missing], keep=keep)
        return [kept_picture(self.shelf, one.name) for one in wanted]

    def embed(
        self, wanted: Sequence[Wanted], encoder: "Encoder", name: str, report: Report | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Draw pictures and embed them, once.

        Args:
            wanted: The n pictures.
            encoder: Embeds them.
            name: Under which the embeddings are kept.
            report: As for `draw`.

        Returns:
            Their embeddings, shape (n, d), zero for those that the safety checker blacked out; and which of them it
            did not, shape (n,).
        """
        import torch

        about = {"encoder": encoder.name, "key": self.key, "pictures": [one.name for one in wanted]}
        if content := kept(self.shelf, name):
            with suppress(Damaged):  # what is kept of pictures that are there is worked out once more
                tensors, said = unpack(content)
                if said == about:
                    return tensors["features"].numpy(), tensors["usable"].numpy()
        pictures = self.draw(wanted, report)
        usable = np.array([picture is not None for picture in pictures], dtype=bool)
        features = np.zeros((len(pictures), encoder.dim))
        features[usable] = encoder.images([picture for picture in pictures if picture is not None])
        tensors = {"features": torch.from_numpy(features), "usable": torch.from_numpy(usable)}
        self.shelf.put(name, pack(tensors, about))
        return features, usable

    def _is_kept(self, one: Wanted) -> bool:
        if any(kept(self.shelf, one.name + ending) for ending in (PASSED, BLANKED)):
            return True
        for ending in (PASSED, BLANKED):
            if self.memo and (content := kept(self.memo, self._memo_name(one, ending))):
                self.shelf.put(one.name + ending, content)
                return True
        return False

    def _keep(self, one: Wanted, png: bytes, ending: str) -> None:
        if self.memo:
            self.memo.put(self._memo_name(one, ending), png)
        self.shelf.put(one.name + ending, png)

    def _memo_name(self, one: Wanted, ending: str) -> str:
        digest = key_of(self.key, one.prompt, one.seed)
        return f"pictures/{digest[:2]}/{digest}{ending}"


def drawing_key(weights: str, generator: "Generator") -> str:
    """Return a key of everything that pictures depend on, apart from their prompts and seeds.

    Args:
        weights: Tells the weights apart from all others.
        generator: The one that they belong to.

    Returns:
        The key.
    """
    return key_of(weights, asdict(generator.sampling), generator.device.type, str(generator.dtype))


def key_of(*parts: object) -> str:
    """Return SHA-256, in hexadecimal, of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def kept(shelf: Blobs, name: str) -> bytes | None:
    """Return what is kept under a name, None where nothing is."""
    try:
        return shelf.get(name)
    except FileNotFoundError:
        return None


def kept_picture(shelf: Blobs, name: str) -> NDArray[np.uint8] | None:
    """Return a picture by its name without the ending; None where there is none, or it was blacked out."""
    content = kept(shelf, name + PASSED)
    return None if content is None else np.asarray(read_image(content, name + PASSED))
