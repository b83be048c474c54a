"""IP-Adapter: no training for a subject; the mean embedding of its pictures is what the generator goes by."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import ImageLike
from desiderata.foundation.generator import Generator
from desiderata.foundation.registry import add_content, first_line, load_pretrained, locate
from desiderata.foundation.sampling import padded_batches
from desiderata.foundation.weights import load_model
from desiderata.personalize.references import TrainingImage, check_images
from desiderata.personalize.trainers.adapted import ADAPTER_FILE, EMBEDS, AdaptedGenerator
from desiderata.personalize.trainers.loop import Progress
from desiderata.personalize.trainers.trainer import key_of

TOWER = "image_encoder"
"""The folder beside an adapter that holds the picture tower that it reads."""

TOWER_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")
"""What is read of it, and fetched from the hub."""

READS = ("image_proj.proj.weight", "image_proj.proj_in.weight", "image_proj.proj.0.weight")
"""An adapter's first layer: of a plain one, a "plus" one, and one of whole faces."""

PICTURES = 8
"""Pictures that the tower sees at a time."""


class NoAdapter(DesiderataError):
    """An adapter is not where it is looked for.

    Args:
        place: Where that is.
    """

    def __init__(self, place: str):
        super().__init__(
            f"There is no adapter {place}: give its own file, by its path or, on the hub, such as "
            "h94/IP-Adapter/models/ip-adapter_sd15.safetensors, or a directory or hub id (owner/model) with an "
            f"{ADAPTER_FILE} in it."
        )


@dataclass(frozen=True)
class IPAdapter:
    """Applies an adapter that somebody trained earlier.

    What is "learnt" of a subject is the weighted mean of its pictures' embeddings; captions and class pictures do not
    matter, and nothing is drawn at random.

    Attributes:
        adapter: A directory or a hub id that holds the adapter and its picture tower, as published ("h94/IP-Adapter",
            with "models" and "ip-adapter_sd15.safetensors") or as `adapter_training.save_adapter` writes it; or the
            adapter's file itself, its path or "h94/IP-Adapter/models/ip-adapter_sd15.safetensors" on the hub, beside
            which the picture tower lies in `image_encoder`.
        subfolder: Where in a directory or repository.
        weights: The adapter's file there.
        scale: How much the reference counts.
    """

    adapter: str
    subfolder: str = ""
    weights: str = ADAPTER_FILE
    scale: float = 1.0
    name = "ip-adapter"

    def train(
        self,
        base: Generator,
        images: Sequence[TrainingImage],
        seed: int,
        *,
        prior: Sequence[TrainingImage] = (),
        checkpoint: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Tensor]:
        """Embed the pictures; see `Trainer.train`. It takes a moment, so that no checkpoint is kept.

        Returns:
            "image_embeds": shape (2, 1, …), what the adapter reads without a reference, and of the subject.

        Raises:
            DesiderataError: There is no such adapter, or its picture tower is missing or that of another one.
        """
        check_images(images)
        file = self._file()
        tensors = _tensors(file)
        whole = READS[0] not in tensors
        tower = load_model(CLIPVisionModelWithProjection, str(_tower(file))).to(cast(Any, base.device))
        seen = embed(tower, [image.image for image in images], whole)
        reads = next((tensors[name].shape[1] for name in READS if name in tensors), seen.shape[-1])
        if reads != seen.shape[-1]:
            raise DesiderataError(
                f"The adapter {file} reads {reads} figures of a picture, and the picture tower beside it gives "
                f"{seen.shape[-1]}: put the one that it was trained with into {TOWER} there."
            )
        weights = torch.tensor([image.weight for image in images], dtype=torch.float64)
        mean = torch.tensordot(weights / weights.sum(), seen.double(), 1)
        if progress:
            progress(1, 1)
        return {EMBEDS: torch.stack([nothing(tower, whole), mean.float()]).unsqueeze(1)}

    def apply(self, base: Generator, learnt: Mapping[str, Tensor]) -> Generator:
        """Put the adapter into the U-Net and the embedding into every drawing; see `Trainer.apply`.

        Returns:
            The personalised generator.

        Raises:
            DesiderataError: It was learnt by another trainer, or the adapter does not fit the generator.
        """
        if list(learnt) != [EMBEDS] or learnt[EMBEDS].shape[:2] != (2, 1):
            raise DesiderataError(
                f"These weights were not learnt by {self.name} (they hold {', '.join(sorted(learnt)[:3])}): give "
                "what it learnt."
            )
        return AdaptedGenerator(base.copy(), _tensors(self._file()), learnt[EMBEDS], self.scale)

    def key(self) -> str:
        """Return a key of the adapter's content, of the picture tower's, and of the scale.

        Raises:
            DesiderataError: There is no such adapter, or no picture tower beside it.
        """
        digest, file = hashlib.sha256(), self._file()
        tower = _tower(file)
        for path in (file, *sorted(path for kind in TOWER_FILES for path in tower.glob(kind))):
            digest.update(path.name.encode())
            add_content(digest, path)
        return key_of(self.name, adapter=digest.hexdigest(), scale=self.scale)

    def applied(self) -> str:
        """Return a key of what `apply` reads beside what was learnt: the adapter's weights, and the scale.

        Raises:
            DesiderataError: There is no such adapter.
        """
        digest = hashlib.sha256()
        add_content(digest, self._file())
        return key_of(self.name, adapter=digest.hexdigest(), scale=self.scale)

    def _file(self) -> Path:
        """Return the adapter's file, fetched from the hub where it is not in a directory.

        Returns:
            A local file.

        Raises:
            NoAdapter: There is none.
            DesiderataError: Its directory or repository cannot be found or reached.
        """
        source, subfolder, weights = self._place()
        inside = f"{subfolder}/{weights}" if subfolder else weights
        towers = [f"{subfolder}/{TOWER}/{kind}" if subfolder else f"{TOWER}/{kind}" for kind in TOWER_FILES]

        def fetched(source: str) -> str:
            if Path(source).is_dir():
                return source
            from huggingface_hub import snapshot_download

            return snapshot_download(source, allow_patterns=[inside, *towers])

        locate(source, "adapter")
        file = Path(load_pretrained(fetched, source)) / inside
        if not file.is_file():
            raise NoAdapter(f"{inside} in {source}")
        return file

    def _place(self) -> tuple[str, str, str]:
        """Tell the parts of an adapter's place.

        Returns:
            A directory, a name or a hub id; the folder in it; the file in that.

        Raises:
            NoAdapter: A file is meant that is not there.
        """
        path = Path(self.adapter)
        if path.suffix != ".safetensors" or path.is_dir():
            return self.adapter, self.subfolder, self.weights
        if path.is_file():
            return str(path.parent.absolute()), "", path.name  # a folder, be it called like a model
        if self.adapter.startswith((".", "/", "~")) or self.adapter.count("/") < 2:
            raise NoAdapter(self.adapter)
        owner, repository, *folders, name = self.adapter.split("/")
        return f"{owner}/{repository}", "/".join(folders), name


def _tower(file: Path) -> Path:
    """Return the folder of the picture tower that an adapter reads.

    Raises:
        DesiderataError: There is none.
    """
    folder = file.parent / TOWER
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise DesiderataError(
            f"There is no picture tower beside the adapter {file}, where {TOWER}/config.json and "
            f"{TOWER}/*.safetensors are looked for: give an adapter that has one, or put both into one folder and "
            "give the path of the adapter there."
        )
    return folder


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise DesiderataError(
            f"The adapter {file} cannot be read ({first_line(error)}): give one in the safetensors format."
        ) from error
    if {name.partition(".")[0] for name in tensors} != {"image_proj", "ip_adapter"}:
        raise DesiderataError(f"{file} is no IP-Adapter: give a file with image_proj and ip_adapter in it.")
    return tensors


@torch.inference_mode()
def embed(tower: CLIPVisionModelWithProjection, images: Sequence[ImageLike], whole: bool = False) -> Tensor:
    """Return what an adapter reads of pictures.

    Args:
        tower: The picture tower.
        images: RGB pictures.
        whole: Whether it reads the last but one hidden states ("plus" adapters) in place of the embedding.

    Returns:
        Shape (n, d), or (n, tokens, width) for the whole; float32 on the CPU.
    """
    size = cast(int, tower.config.image_size)
    processor = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    rows = []
    for batch, n in padded_batches(images, PICTURES):
        pixels = processor(images=cast(Any, batch), return_tensors="pt")["pixel_values"].to(tower.device)
        rows.append(_read(tower, pixels, whole)[:n])
    return torch.cat(rows).clone()


@torch.inference_mode()
def nothing(tower: CLIPVisionModelWithProjection, whole: bool = False) -> Tensor:
    """Return what an adapter reads where there is no picture: zeros, or the states of zero pixels for the whole.

    Args:
        tower: The picture tower.
        whole: As for `embed`.

    Returns:
        Shape (d,) or (tokens, width).
    """
    if not whole:
        return torch.zeros(tower.config.projection_dim)
    size = cast(int, tower.config.image_size)
    pixels = torch.zeros(1, 3, size, size, device=tower.device)
    return _read(tower, pixels, whole)[0].clone()


def _read(tower: CLIPVisionModelWithProjection, pixels: Tensor, whole: bool) -> Tensor:
    output = tower(pixel_values=cast(Any, pixels), output_hidden_states=whole)
    return (output.hidden_states[-2] if whole else output.image_embeds).float().cpu()
