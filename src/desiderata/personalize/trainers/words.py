"""New words for a text encoder: tokens whose embeddings can be learnt without touching any other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from desiderata.errors import DesiderataError
from desiderata.files import staged
from desiderata.foundation.generator import Generator
from desiderata.foundation.pipelines import quiet
from desiderata.personalize.references import TrainingImage

EMBEDDING_FILE = "learned_embeds.safetensors"
"""The name under which `diffusers` looks for it."""


def check_named(images: Sequence[TrainingImage], placeholder: str) -> None:
    """Make sure that captions have the word that is to be learnt.

    Raises:
        DesiderataError: None has it.
    """
    if not any(placeholder in image.caption for image in images):
        raise DesiderataError(
            f"No caption has the word {placeholder!r}, which is to be learnt: put it into them, as in 'a "
            f"{placeholder} toy'."
        )


def embedding_of(generator: Generator, word: str) -> Tensor:
    """Return the embedding of a known word, the mean over its tokens where there are several.

    Args:
        generator: Whose text encoder to ask.
        word: The word.

    Returns:
        Shape (d,), float32.

    Raises:
        DesiderataError: The tokenizer makes nothing of it.
    """
    ids = cast("list[int]", generator.tokenizer(word, add_special_tokens=False)["input_ids"])
    if not ids:
        raise DesiderataError(f"The tokenizer knows no word in {word!r}: give another word to begin from.")
    return _embeddings(generator)[ids].detach().float().mean(0)


def check_word(placeholder: str) -> None:
    """Refuse what cannot be learnt as a word.

    Raises:
        DesiderataError: It is empty, or has blanks in it.
    """
    if not placeholder.strip() or any(character.isspace() for character in placeholder):
        raise DesiderataError(f"The word to be learnt is {placeholder!r}: give one without blanks, such as <toy>.")


def check_new(generator: Generator, placeholder: str, vectors: int = 1) -> list[str]:
    """Refuse a word that a generator's tokenizer has already.

    Args:
        generator: Whose.
        placeholder: The word.
        vectors: How many tokens it is to stand for.

    Returns:
        The names of the tokens.

    Raises:
        DesiderataError: The tokenizer has a token of one of these names.
    """
    names = [placeholder, *(f"{placeholder}_{number}" for number in range(1, vectors))]
    if set(names) & set(cast(Any, generator.tokenizer).get_vocab()):
        raise DesiderataError(
            f"The tokenizer of {generator.name} has a token {placeholder!r} already: give another word, such as "
            f"<{placeholder.strip('<>')}-1>."
        )
    return names


def add_words(generator: Generator, placeholder: str, rows: Tensor) -> list[int]:
    """Teach a generator's tokenizer and text encoder a new word, in place.

    Args:
        generator: One whose tokenizer and text encoder are its own.
        placeholder: The word. With several rows it stands for as many tokens, the others called as in `diffusers`
            (placeholder_1, placeholder_2, …), and prompts need name the first alone.
        rows: Shape (k, d), the embeddings.

    Returns:
        The ids of the tokens.

    Raises:
        DesiderataError: The tokenizer has a token of that name.
    """
    from transformers import AddedToken

    tokenizer, encoder = cast(Any, generator.tokenizer), generator.text_encoder
    check_word(placeholder)
    names = check_new(generator, placeholder, len(rows))
    tokenizer.add_tokens([AddedToken(name, single_word=True, normalized=False) for name in names])
    ids = cast("list[int]", tokenizer.convert_tokens_to_ids(names))
    if max(ids) >= len(_embeddings(generator)):
        with quiet(), torch.random.fork_rng([]):  # rows are drawn at first
            encoder.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    encoder.requires_grad_(False)
    with torch.no_grad():
        _embeddings(generator)[ids] = rows.to(_embeddings(generator))
    generator.forget_texts()
    return ids


def learn_words(generator: Generator, ids: Sequence[int], rows: nn.Parameter) -> None:
    """Let the text encoder read `rows` for the tokens `ids`, with gradients; its own embeddings stay as they are.

    Args:
        generator: One whose text encoder is its own, and is given up after training.
        ids: As `add_words` returned them.
        rows: Shape (k, d).
    """

    def replace(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        for token, row in zip(ids, rows, strict=True):
            output = torch.where((inputs[0] == token).unsqueeze(-1), row.to(output.dtype), output)
        return output

    generator.text_encoder.get_input_embeddings().register_forward_hook(cast(Any, replace))


def save_words(placeholder: str, rows: Tensor, folder: Path) -> Path:
    """Write embeddings that `pipeline.load_textual_inversion(folder, token=placeholder)` of plain `diffusers` loads.

    Args:
        placeholder: The word.
        rows: Shape (k, d).
        folder: Where; made if missing.

    Returns:
        The file.
    """
    with staged(folder / EMBEDDING_FILE) as temporary:
        save_file({placeholder: rows.contiguous()}, temporary, metadata={"format": "pt"})
    return folder / EMBEDDING_FILE


def _embeddings(generator: Generator) -> Tensor:
    return cast(Tensor, generator.text_encoder.get_input_embeddings().weight)
