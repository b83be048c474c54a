"""Embeddings of image files, computed once for each content and encoder and kept in the user's cache."""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image

from desiderata.campaign.images import MOST_BYTES, UnreadableImage, digest_of, opened, read_image
from desiderata.campaign.rows import from_blob, to_blob

BATCH = 32
"""Pictures decoded and embedded at a time; after each batch the cache is written."""


class ImageEncoder(Protocol):
    """What is needed of `foundation.encoder.Encoder` here."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def images(self, images: Sequence[Image.Image]) -> NDArray[np.float64]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A picture on disk with its place in the joint space.

    Attributes:
        path: Where it is.
        image: SHA-256 of its pixels, as in `Answer.image`.
        feature: Shape (d,), unit length.
    """

    path: Path
    image: str
    feature: NDArray[np.float64]


def cache_folder() -> Path:
    """Return the folder for what can be computed again: `DESIDERATA_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("DESIDERATA_CACHE") or platformdirs.user_cache_dir("desiderata"))


class FeatureCache:
    """Embeddings by content, in one SQLite file that several processes may use at once.

    Where the file cannot be read or written, everything is embedded as if it were empty: a cache saves time, and
    nothing depends on it.

    The encoder is told apart by its name and by what it makes of one fixed picture, so that a model which is
    trained further under the same name does not get the embeddings of its predecessor.

    Args:
        path: The file; `features-1.db` in `cache_folder()` by default.
    """

    def __init__(self, path: Path | None = None):
        self.path = path or cache_folder() / "features-1.db"

    def embed(
        self,
        encoder: ImageEncoder,
        paths: Sequence[Path],
        progress: Callable[[int], None] | None = None,
    ) -> tuple[list[EmbeddedFile], dict[Path, UnreadableImage]]:
        """Embed image files, those seen before without decoding them.

        Args:
            encoder: Frozen.
            paths: The files.
            progress: Called with the number of files that have been dealt with, after each batch.

        Returns:
            The files that could be read, in the order given, and for each of the others why it could not.
        """
        key = fingerprint(encoder)
        found: list[EmbeddedFile] = []
        unreadable: dict[Path, UnreadableImage] = {}
        with self._open() as cache:
            for start in range(0, len(paths), BATCH):
                batch = paths[start : start + BATCH]
                found += self._batch(cache, encoder, key, batch, unreadable)
                if progress:
                    progress(start + len(batch))
        return found, unreadable

    def _batch(
        self,
        cache: sqlite3.Connection,
        encoder: ImageEncoder,
        key: str,
        paths: Sequence[Path],
        unreadable: dict[Path, UnreadableImage],
    ) -> list[EmbeddedFile]:
        known: dict[Path, EmbeddedFile] = {}
        fresh: list[tuple[Path, str, Image.Image]] = []
        for path in paths:
            try:
                content = _content_digest(path)
                if row := _kept(cache, content, key):
                    known[path] = EmbeddedFile(path, row[0], from_blob(row[1]))
                else:
                    fresh.append((path, content, read_image(path)))
            except UnreadableImage as error:
                unreadable[path] = error
        if fresh:
            vectors = encoder.images([image for _, _, image in fresh])
            rows = []
            for (path, content, image), vector in zip(fresh, vectors, strict=True):
                known[path] = EmbeddedFile(path, digest_of(image), vector)
                rows.append((content, key, known[path].image, to_blob(vector)))
            with suppress(sqlite3.Error), cache:
                cache.executemany("INSERT OR IGNORE INTO features VALUES (?, ?, ?, ?)", rows)
        return [known[path] for path in paths if path in known]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            cache = sqlite3.connect(self.path, timeout=30)
        except sqlite3.Error:
            cache = sqlite3.connect(":memory:")
        with closing(cache):
            with suppress(sqlite3.Error):
                cache.execute(
                    "CREATE TABLE IF NOT EXISTS features (content TEXT, encoder TEXT, image TEXT NOT NULL, "
                    "vector BLOB NOT NULL, PRIMARY KEY (content, encoder)) WITHOUT ROWID"
                )
            yield cache


def _kept(cache: sqlite3.Connection, content: str, key: str) -> tuple[str, bytes] | None:
    with suppress(sqlite3.Error):
        return cache.execute(
            "SELECT image, vector FROM features WHERE content = ? AND encoder = ?", (content, key)
        ).fetchone()
    return None


def probe_picture() -> Image.Image:
    """Return the fixed picture by which encoders are told apart."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def fingerprint(encoder: ImageEncoder) -> str:
    """Return the encoder's name and, in twelve letters, what it makes of one fixed picture."""
    made = np.round(encoder.images([probe_picture()])[0], 3) + 0.0
    return f"{encoder.name} {hashlib.sha256(to_blob(made)).hexdigest()[:12]}"


def _content_digest(path: Path) -> str:
    with opened(path, str(path)) as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise UnreadableImage(f"{path} is larger than {MOST_BYTES >> 20} MiB: reduce the picture first.")
        return hashlib.file_digest(file, "sha256").hexdigest()
