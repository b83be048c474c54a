"""Where the files of a campaign are kept: a folder, or, for experiments that nobody will resume, memory."""

from pathlib import Path
from typing import Protocol

from desiderata.files import write_bytes


class Blobs(Protocol):
    """Named contents, each written in one step."""

    def put(self, name: str, content: bytes) -> None:
        """Keep `content` under `name`, replacing what was there."""
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

    def get(self, name: str) -> bytes:  # noqa: D102
        if name not in self.contents:
            raise FileNotFoundError(name)
        return self.contents[name]

    def where(self, name: str) -> Path | bytes:  # noqa: D102
        return self.get(name)
