"""A model hub within the process, which the hub's own client asks."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

COMMIT = "c" * 40
"""Of every repository."""


class FakeHub:
    """Answers as the hub does; files are kept in a cache of its own.

    Args:
        patched: Puts things back.
        cache: Where what is fetched goes.
        repositories: Contents of files by repository and path, or the code of the error that it is refused with.
    """

    def __init__(
        self, patched: pytest.MonkeyPatch, cache: Path, repositories: Mapping[str, Mapping[str, bytes] | str]
    ):
        self.repositories = repositories
        self.fetched: list[str] = []
        patched.setattr(constants, "HF_HUB_OFFLINE", False)
        patched.setattr(constants, "HF_HUB_CACHE", str(cache))
        patched.setenv("DISABLE_SAFETENSORS_CONVERSION", "1")
        client = httpx2.Client(transport=httpx2.MockTransport(self._answer), follow_redirects=True)
        patched.setattr(_http, "_GLOBAL_CLIENT", client)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == "/":
            return httpx2.Response(200)
        found = re.match(r"/(?:api/models/)?([^/]+/[^/]+)(/.*)?$", path)
        assert found, path
        held = self.repositories.get(found[1], "RepoNotFound")
        if isinstance(held, str):
            status = {"RepoNotFound": 401, "GatedRepo": 403}.get(held, 500)
            return httpx2.Response(status, headers={"X-Error-Code": held}, json={})
        rest = found[2] or ""
        if rest.startswith("/resolve/"):
            return self._file(request, held, rest.split("/", 3)[3])
        if rest.startswith("/tree/"):
            return httpx2.Response(200, json=[_entry(name, held[name]) for name in held])
        siblings = [{"rfilename": name} for name in held]
        return httpx2.Response(200, json={"id": found[1], "sha": COMMIT, "siblings": siblings})

    def _file(self, request: httpx2.Request, held: Mapping[str, bytes], name: str) -> httpx2.Response:
        if name not in held:
            return httpx2.Response(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        headers = {
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{_entry(name, held[name])["oid"]}"',
            "Content-Length": str(len(held[name])),
        }
        if request.method == "HEAD":
            return httpx2.Response(200, headers=headers)
        self.fetched.append(name)
        return httpx2.Response(200, headers=headers, content=held[name])


def files_of(folder: Path, within: str = "") -> dict[str, bytes]:
    """Return the files below a folder as a repository has them, in a folder of it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {f"{within}{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files}


def index(kind: str = "StableDiffusionPipeline") -> bytes:
    """Return the index of a pipeline with a U-Net alone."""
    return json.dumps({"_class_name": kind, "unet": ["diffusers", "UNet2DConditionModel"]}).encode()


def _entry(name: str, content: bytes) -> dict[str, str | int]:
    oid = f"{abs(hash((name, content))):040x}"[:40]
    return {"type": "file", "path": name, "size": len(content), "oid": oid}
