"""Where the files of a campaign are kept: a folder, or, for experiments that nobody will resume, memory."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Protocol

from desiderata.files import prepared, write_bytes

IN_MEMORY = 64 * 2**20
"""Bytes of pictures that wait in memory; more of them wait on the disk."""


class Blobs(Protocol):
    """Named contents, each written in one step."""

    def put(self, name: str, content: bytes) -> None:
        """Keep `content` under `name`, replacing what was there."""
        ...

    def prepared(self, name: str, content: bytes) -> AbstractContextManager[Callable[[], None]]:
        """Write `content`, which takes its time; calling what is given keeps it under `name` in no time."""
        ...

    def get(self, name: str) -> bytes:
        """Return what was put under `name`.

        Raises:
            FileNotFoundError: Nothing was.
        """
        ...

    def where(self, name: str) -> Path | bytes:
        """Return what a reader of `name` should open: a path, or the content itself."""
        ...


class FolderBlobs:
    """Files below `root`."""

    def __init__(self, root: Path):
        self.root = root

    def put(self, name: str, content: bytes) -> None:  # noqa: D102
        write_bytes(self.root / name, content)

    def prepared(self, name: str, content: bytes) -> AbstractContextManager[Callable[[], None]]:  # noqa: D102
        return prepared(self.root / name, content)

    def get(self, name: str) -> bytes:  # noqa: D102
        return (self.root / name).read_bytes()

    def where(self, name: str) -> Path | bytes:  # noqa: D102
        return self.root / name


class MemoryBlobs:
    """A dictionary."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def put(self, name: str, content: bytes) -> None:  # noqa: D102
        self.contents[name] = content

    def prepared(self, name: str, content: bytes) -> AbstractContextManager[Callable[[], None]]:  # noqa: D102
        return nullcontext(lambda: self.put(name, content))

    def get(self, name: str) -> bytes:  # noqa: D102
        if name not in self.contents:
            raise FileNotFoundError(name)
        return self.contents[name]

    def where(self, name: str) -> Path | bytes:  # noqa: D102
        return self.get(name)


class Pile:
    """Contents that wait to be kept, in the order in which they came.

    A folder of photographs would fill the memory: what does not fit into `IN_MEMORY` waits in a file without a name,
    of which nothing is left when the process ends.

    Args:
        folder: Where such a file lies; None for the system's place.
    """

    def __init__(self, folder: Path | None = None):
        self._file = SpooledTemporaryFile(IN_MEMORY, dir=folder and str(folder))  # noqa: SIM115 - as long as the pile
        weakref.finalize(self, self._file.close)
        self._sizes: list[int] = []

    def add(self, content: bytes) -> None:
        """Lay `content` on the pile."""
        self._file.write(content)
        self._sizes.append(len(content))

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        for size in self._sizes:
            yield self._file.read(size)
