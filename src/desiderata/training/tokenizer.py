"""A small CLIP tokenizer of the captions' own words."""

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(captions: Iterable[str], *, vocabulary: int = 1024, length: int = 48) -> CLIPTokenizer:
    """Learn byte-pair merges (Sennrich et al., 2016) from captions.

    Args:
        captions: What to learn from.
        vocabulary: The most tokens, single bytes and the two markers counted; frequent words become one token.
        length: The most tokens in a sentence.

    Returns:
        A tokenizer in CLIP's format, which spells words that it never saw.
    """
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()  # pyright: ignore[reportAttributeAccessIssue]
    learner.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2 - 2 * len(alphabet),
        min_frequency=2,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    model = json.loads(learner.to_str())["model"]
    learnt = [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    tokens = dict.fromkeys([START, END, *alphabet, *(f"{letter}</w>" for letter in alphabet), *learnt])
    merges = [tuple(merge) if not isinstance(merge, str) else tuple(merge.split(" ")) for merge in model["merges"]]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,  # pyright: ignore[reportArgumentType]
        model_max_length=length,
    )
