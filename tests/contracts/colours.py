"""A joint space of colours: an encoder that is instant, and whose every embedding can be worked out by hand."""

import numpy as np

CLASSES = ("red", "green", "blue")


class Colours:
    """Embeds a picture as its mean colour, a sentence as the colours it names; counts what it had to embed.

    Args:
        tint: Red that is added to every picture, as another model of the same name would see it.
        accent: Red that is added to every sentence.
    """

    name = "colours"
    dim = 3

    def __init__(self, tint: float = 0.0, accent: float = 0.0) -> None:
        self.tint, self.accent = tint, accent
        self.embedded = self.read = 0

    def images(self, images):
        self.embedded += len(images)
        rows = np.array([np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images])
        return self._unit(rows, self.tint)

    def texts(self, texts):
        self.read += len(texts)
        return self._unit(np.array([[name in text for name in CLASSES] for text in texts], float), self.accent)

    def _unit(self, rows, red):
        rows = rows + np.array([red, 0, 0]) + 1e-6
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
