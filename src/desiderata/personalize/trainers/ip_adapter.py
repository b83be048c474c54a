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
from desiderata.foundation.registry import first_line, load_pretrained
from desiderata.foundation.sampling import padded_batches
from desiderata.foundation.weights import load_model
from desiderata.personalize.references import TrainingImage, check_images
from desiderata.personalize.trainers.adapted import ADAPTER_FILE, EMBEDS, AdaptedGenerator
from desiderata.personalize.trainers.loop import Progress
from desiderata.personalize.trainers.trainer import key_of

TOWER = "image_encoder"
"""The folder beside an adapter that holds the picture tower that it reads."""

PICTURES = 8
"""Pictures that the tower sees at a time."""


@dataclass(frozen=True)
class IPAdapter:
    """Applies an adapter that somebody trained earlier.

    What is "learnt" of a subject is the weighted mean of its pictures' embeddings; captions and class pictures do not
    matter, and nothing is drawn at random.

    Attributes:
        adapter: A directory or a hub id that holds the adapter and its picture tower, as published ("h94/IP-Adapter",
            with "models" and "ip-adapter_sd15.safetensors") or as `adapter_training.save_adapter` writes it.
        subfolder: Where in it.
        weights: The adapter's file.
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
        """
        check_images(images)
        whole = "image_proj.proj.weight" not in self._tensors()
        tower = load_model(CLIPVisionModelWithProjection, str(self._folder() / TOWER)).to(cast(Any, base.device))
        seen = embed(tower, [image.image for image in images], whole)
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
        return AdaptedGenerator(base.copy(), self._tensors(), learnt[EMBEDS], self.scale)

    def key(self) -> str:
        """Return a key of the adapter's content, of the picture tower's, and of the scale."""
        digest, folder = hashlib.sha256(), self._folder()
        for path in (folder / self.weights, *sorted((folder / TOWER).glob("*"))):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
        return key_of(self.name, adapter=digest.hexdigest(), scale=self.scale)

    def _folder(self) -> Path:
        """Return the folder with the adapter, fetched from the hub where it is not a directory.

        Returns:
            A local folder.

        Raises:
            DesiderataError: There is no such adapter.
        """
        folder = Path(load_pretrained(self._fetched, self.adapter)) / self.subfolder
        if not (folder / self.weights).is_file():
            raise DesiderataError(
                f"There is no adapter {folder / self.weights}: give the directory, the subfolder and the name of the "
                "file that hold one."
            )
        return folder

    def _fetched(self, source: str) -> str:
        if Path(source).is_dir():
            return source
        from huggingface_hub import snapshot_download

        prefix = f"{self.subfolder}/" if self.subfolder else ""
        return snapshot_download(source, allow_patterns=[f"{prefix}{self.weights}", f"{prefix}{TOWER}/*"])

    def _tensors(self) -> dict[str, Tensor]:
        path = self._folder() / self.weights
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise DesiderataError(
                f"The adapter {path} cannot be read ({first_line(error)}): give one in the safetensors format."
            ) from error
        if {name.partition(".")[0] for name in tensors} != {"image_proj", "ip_adapter"}:
            raise DesiderataError(f"{path} is no IP-Adapter: give a file with image_proj and ip_adapter in it.")
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
