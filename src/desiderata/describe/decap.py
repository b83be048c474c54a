"""DeCap (Li et al., 2023): a small language model that writes the sentence whose embedding it is given.

The model is trained on text embeddings alone. A point on the image side is first brought over to the text side: it is
replaced by a mean of remembered text embeddings, weighted by softmax(similarity / temperature).
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import GPT2LMHeadModel

from desiderata.errors import DesiderataError
from desiderata.files import staged
from desiderata.foundation.registry import locate
from desiderata.foundation.weights import load_model, load_tokenizer

Vectors = NDArray[np.float64]

EXTRAS = "decap.safetensors"
"""The file beside the language model that holds the prefix layer and the memory."""


class DecapDecoder:
    """Sentences for points of a joint space.

    Args:
        model: The language model.
        prefix: Linear layer from an embedding to the model's first input.
        tokenizer: The model's tokenizer.
        memory: Shape (m, d), text embeddings of unit length to project on.
        temperature: Of the projection; smaller is closer to the nearest remembered sentence.
        length: The most tokens in a sentence; never more than the model has positions.
    """

    def __init__(
        self,
        model: GPT2LMHeadModel,
        prefix: nn.Linear,
        tokenizer: Any,
        memory: torch.Tensor,
        temperature: float = 0.01,
        length: int = 40,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        # The end marker is the padding too; told so, the model would warn about sentences that merely end.
        self.model.config.pad_token_id = None
        self.prefix = prefix.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.memory = memory.float()
        self.temperature = temperature
        self.length = min(length, model.config.n_positions)

    @property
    def dim(self) -> int:
        """Length d of the embeddings that it reads."""
        return self.prefix.in_features

    def project(self, vectors: Vectors) -> Vectors:
        """Bring points over to the text side (DeCap, Eq. 4).

        Args:
            vectors: Shape (k, d), rows of unit length.

        Returns:
            Shape (k, d), rows of unit length.
        """
        similarity = torch.as_tensor(vectors).float() @ self.memory.T
        mixed = torch.softmax(similarity / self.temperature, dim=-1) @ self.memory
        rows = mixed.double().numpy()
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    def decode(self, vectors: Vectors) -> list[str]:
        """Write the likeliest sentence for each text-side point, word by word (greedy).

        Args:
            vectors: Shape (k, d), rows of unit length; `project` points of the image side first.

        Returns:
            k sentences.
        """
        return self._generate(vectors, do_sample=False)

    def sample(self, vectors: Vectors, n: int, seed: int, *, temperature: float = 1.0) -> list[list[str]]:
        """Write n sentences for each text-side point at random, likelier ones more often.

        Args:
            vectors: Shape (k, d), rows of unit length.
            n: Sentences for each point, >= 0, repeats possible.
            seed: The same seed gives the same sentences; torch's own generator is left as it was.
            temperature: Above 1 strays further from the likeliest sentence.

        Returns:
            k lists of n sentences.

        Raises:
            DesiderataError: `n` is below 0.
        """
        if n < 0:
            raise DesiderataError(f"{n} sentences cannot be written: ask for none or more.")
        if n == 0:
            return [[] for _ in vectors]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            flat = self._generate(np.repeat(vectors, n, axis=0), do_sample=True, temperature=temperature, top_k=0)
        return [flat[start : start + n] for start in range(0, len(flat), n)]

    @torch.inference_mode()
    def _generate(self, vectors: Vectors, **options: Any) -> list[str]:
        if not len(vectors):
            return []
        first = self.prefix(torch.as_tensor(vectors).float()).unsqueeze(1)
        output = cast(Any, self.model).generate(
            inputs_embeds=first,
            attention_mask=torch.ones(first.shape[:2], dtype=torch.long),
            max_new_tokens=self.length,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            **options,
        )
        sentences = self.tokenizer.batch_decode(output, skip_special_tokens=True)
        return [" ".join(sentence.replace(" ,", ",").split()) for sentence in sentences]

    def save(self, folder: Path) -> None:
        """Write a directory that `load_decoder` reads: the language model's own files and `EXTRAS`."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        tensors = {"prefix.weight": self.prefix.weight, "prefix.bias": self.prefix.bias, "memory": self.memory}
        with staged(folder / EXTRAS) as temporary:
            save_file({key: value.detach().half().contiguous() for key, value in tensors.items()}, temporary)


def load_decoder(name: str = "moji-decap") -> DecapDecoder:
    """Load a decoder directory.

    Args:
        name: A registered name or the path of a directory that `DecapDecoder.save` wrote.

    Returns:
        The decoder, in float32.

    Raises:
        DesiderataError: Nothing is there, or it is not a decoder.
    """
    folder = Path(locate(name, "decoder"))
    # First, since it is small and local: no language model is fetched for a name that can be no decoder.
    prefix, memory = _extras(folder)
    model, tokenizer = load_model(GPT2LMHeadModel, name), load_tokenizer(name)
    if prefix.out_features != model.config.n_embd:
        raise DesiderataError(
            f"{folder} is made of two decoders: its {EXTRAS} is for inputs of length {prefix.out_features} and its "
            f"language model takes {model.config.n_embd}; put back the files that were written together."
        )
    return DecapDecoder(model, prefix, tokenizer, memory)


def _extras(folder: Path) -> tuple[nn.Linear, torch.Tensor]:
    """Read what lies beside the language model.

    Args:
        folder: The directory of the decoder.

    Returns:
        The prefix layer and the memory, in float32.

    Raises:
        DesiderataError: The file is missing or damaged.
    """
    try:
        tensors = {key: value.float() for key, value in load_file(folder / EXTRAS).items()}
        weight, bias, memory = tensors["prefix.weight"], tensors["prefix.bias"], tensors["memory"]
        prefix = nn.Linear(weight.shape[1], weight.shape[0])
        prefix.load_state_dict({"weight": weight, "bias": bias})
    except (OSError, KeyError, IndexError, RuntimeError, SafetensorError) as error:
        raise DesiderataError(
            f"{folder} is not a DeCap decoder: its {EXTRAS} is missing or damaged; "
            "give a directory that `desiderata models train moji-decap` wrote."
        ) from error
    return prefix, memory
