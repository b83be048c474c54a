"""Pretrained weights, loaded whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar, cast

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from desiderata.errors import DesiderataError
from desiderata.foundation.registry import load_pretrained, locate

Model = TypeVar("Model", bound=PreTrainedModel)


def load_model(kind: type[Model], name: str, *, variant: str | None = None) -> Model:
    """Load a model of a given class, every weight of it.

    `from_pretrained` makes an object of that class out of anything: what it does not find, or finds in another shape,
    it draws at random and only logs.

    Args:
        kind: Class of the model, such as `CLIPModel`.
        name: As for `registry.locate`.
        variant: What the names of its files have in them besides, such as "fp16"; None for nothing.

    Returns:
        The model, in float32.

    Raises:
        DesiderataError: It cannot be found, reached or read, or weights of it are missing.
    """
    load = partial(
        kind.from_pretrained,
        use_safetensors=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        variant=variant,
    )
    with _quiet():
        model, info = cast("tuple[Model, dict[str, set]]", load_pretrained(load, name))
    absent = sorted({*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])})
    if absent:
        raise DesiderataError(
            f"{locate(name)} is no whole {kind.__name__}: {len(absent)} of its weights are missing or of another "
            f"shape, such as {absent[0]}; give a model that was saved as a {kind.__name__}."
        )
    return model


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load a model's tokenizer.

    Without its files, `from_pretrained` makes a tokenizer that knows no words, and every sentence becomes the same.

    Args:
        name: As for `registry.locate`.

    Returns:
        The tokenizer.

    Raises:
        DesiderataError: It cannot be found, reached or read, or knows no words.
    """
    tokenizer = load_pretrained(AutoTokenizer.from_pretrained, name)
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise DesiderataError(
            f"{locate(name)} has a model but no tokenizer: put its tokenizer.json, or the files that it is made "
            "from, beside the model."
        )
    return tokenizer


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' report on weights off the terminal; what matters in it is raised in one sentence."""
    verbosity = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
