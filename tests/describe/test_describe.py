"""Templates, banks, the bridge between modalities, and the decoder's files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from desiderata.describe.bank import SentenceBank, phrase_bank, read_captions, sort_captions
from desiderata.describe.bridge import Bridge
from desiderata.describe.decap import EXTRAS, DecapDecoder, load_decoder
from desiderata.describe.template import ask_for, described, plain
from desiderata.errors import DesiderataError
from desiderata.training.tokenizer import train_tokenizer


class Letters:
    """Counts letters: enough of an encoder for words."""

    name, dim = "letters", 26

    def texts(self, texts):
        rows = np.array([[text.lower().count(chr(97 + i)) + 1e-3 for i in range(26)] for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def images(self, images):
        raise AssertionError("no images here")


@given(st.text(min_size=1), st.text())
def test_a_description_comes_out_of_its_query(label: str, description: str):
    if ", which illustrates that " not in label:
        assert described(ask_for(label, description)) == description


def test_plain_queries_are_english():
    assert plain("cat") == "a photo of a cat"
    assert plain("airplane") == "a photo of an airplane"
    assert described("a photo of a cat") == "a photo of a cat"


def test_a_class_without_sentences_is_refused():
    with pytest.raises(DesiderataError, match="'dog'"):
        SentenceBank.of({"cat": ["a cat"], "dog": []}, Letters())


def test_captions_are_sorted_by_what_they_say():
    found = sort_captions(["zzz quiz", "a mammal", "quizzes"], ["quiz", "mammal"], Letters())
    assert found == {"quiz": ["zzz quiz", "quizzes"], "mammal": ["a mammal"]}


def test_phrases_are_distinct_and_name_the_class():
    phrases = phrase_bank(["wombat"])["wombat"]
    assert len(set(phrases)) == len(phrases) == 1287
    assert all("wombat" in phrase for phrase in phrases)


def test_captions_file(tmp_path: Path):
    path = tmp_path / "captions.txt"
    path.write_text("a cat\n\n a dog \na cat\n")
    assert read_captions(path) == ["a cat", "a dog"]
    path.write_text("\n")
    with pytest.raises(DesiderataError, match="holds no captions"):
        read_captions(path)
    with pytest.raises(DesiderataError, match="cannot be read"):
        read_captions(tmp_path / "none.txt")


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_one_pair_makes_the_bridge_a_shift():
    rng = np.random.default_rng(0)
    text, image = unit(rng.normal(size=(1, 8))), unit(rng.normal(size=(1, 8)))
    np.testing.assert_allclose(Bridge.fit(text, image)(text), image)


def test_many_pairs_teach_the_bridge_what_pictures_show():
    rng = np.random.default_rng(0)
    scale = np.array([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1])  # half of what words say does not show
    texts = unit(rng.normal(size=(600, 8)))
    images = unit(texts * scale + 0.3)
    fitted, shift = Bridge.fit(texts[:500], images[:500]), Bridge.fit(texts[:500], images[:500], ridge=1e9)
    errors = [np.linalg.norm(bridge(texts[500:]) - images[500:], axis=1).mean() for bridge in (fitted, shift)]
    assert errors[0] < 0.3 * errors[1]


@pytest.fixture
def decoder() -> DecapDecoder:
    torch.manual_seed(0)
    words = train_tokenizer(["a cat on the grass", "two dogs in the snow"] * 4)
    config = GPT2Config(
        vocab_size=len(words), n_positions=32, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=1
    )
    memory = torch.nn.functional.normalize(torch.randn(20, 6), dim=-1)
    return DecapDecoder(GPT2LMHeadModel(config), nn.Linear(6, 32), words, memory, length=8)


def test_projection_lands_among_the_memories(decoder: DecapDecoder):
    memory = decoder.memory.double().numpy()
    np.testing.assert_allclose(decoder.project(memory[:3]), memory[:3], atol=1e-3)
    far = unit(np.random.default_rng(1).normal(size=(4, 6)))
    np.testing.assert_allclose(np.linalg.norm(decoder.project(far), axis=1), 1)


def test_sampling_is_reproducible_and_leaves_torchs_generator_alone(decoder: DecapDecoder):
    points = decoder.memory[:2].double().numpy()
    before = torch.random.get_rng_state()
    first = decoder.sample(points, 3, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first == decoder.sample(points, 3, seed=5)
    assert [len(row) for row in first] == [3, 3]
    assert decoder.decode(points[:0]) == []


def test_a_saved_decoder_writes_the_same(decoder: DecapDecoder, tmp_path: Path):
    decoder.prefix.half().float()  # as they are saved
    decoder.memory = decoder.memory.half().float()
    decoder.save(tmp_path)
    again = load_decoder(str(tmp_path))
    points = again.memory[:3].double().numpy()
    assert again.dim == 6
    assert again.length == 32  # as many as the model has positions
    assert max(len(sentence) for sentence in again.decode(again.project(points))) > 0
    again.length = decoder.length
    assert again.decode(again.project(points)) == decoder.decode(decoder.project(points))
    (tmp_path / EXTRAS).write_bytes(b"no safetensors")
    with pytest.raises(DesiderataError, match="not a DeCap decoder"):
        load_decoder(str(tmp_path))
