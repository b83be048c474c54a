"""Templates, banks, the bridge between modalities, and the decoder's files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from contracts.decoder import tiny_decoder
from desiderata.describe.bank import SentenceBank, phrase_bank, read_captions, sort_captions
from desiderata.describe.bridge import Bridge
from desiderata.describe.decap import EXTRAS, DecapDecoder, load_decoder
from desiderata.describe.pictures import describe_pictures, whole_words
from desiderata.describe.template import ask_for, described, plain, with_article
from desiderata.errors import DesiderataError
from desiderata.worlds.moji import scene


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


def test_the_article_goes_by_the_first_letter_of_the_class_and_by_nothing_else():
    assert plain("umbrella") == "a photo of an umbrella"
    assert plain("Igloo") == "a photo of an Igloo"
    assert plain("eagle of a kind") == "a photo of an eagle of a kind"
    assert [plain(label) for label in scene.CLASSES] == [
        "a photo of an airplane",
        "a photo of an automobile",
        "a photo of a bird",
        "a photo of a cat",
        "a photo of a deer",
        "a photo of a dog",
        "a photo of a frog",
        "a photo of a horse",
        "a photo of a ship",
        "a photo of a truck",
    ]
    phrases = phrase_bank(["airplane", "cat"])
    assert "a photo of an airplane on grass" in phrases["airplane"]
    assert "a painting of a cat with another cat beside it on water" in phrases["cat"]
    assert not [phrase for phrase in phrases["airplane"] if "a airplane" in phrase]


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
    return tiny_decoder()


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


def test_no_samples_are_empty_lists_and_fewer_than_none_are_refused(decoder: DecapDecoder):
    points = decoder.memory[:2].double().numpy()
    assert decoder.sample(points, 0, seed=5) == [[], []]
    assert decoder.sample(points[:0], 3, seed=5) == []
    with pytest.raises(DesiderataError, match="-1 sentences cannot be written"):
        decoder.sample(points, -1, seed=5)


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


def test_a_folder_without_the_decoders_own_file_is_refused_before_its_language_model_is_loaded(
    decoder: DecapDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    decoder.save(tmp_path)
    (tmp_path / EXTRAS).unlink()
    monkeypatch.setattr(GPT2LMHeadModel, "from_pretrained", None)  # called, it would raise a TypeError
    with pytest.raises(DesiderataError, match=rf"its {EXTRAS} is missing or damaged"):
        load_decoder(str(tmp_path))


@pytest.mark.parametrize("part", ["prefix.weight", "prefix.bias", "memory"])
def test_a_decoder_that_lacks_a_part_is_refused(part: str, decoder: DecapDecoder, tmp_path: Path):
    decoder.save(tmp_path)
    tensors = load_file(tmp_path / EXTRAS)
    del tensors[part]
    save_file(tensors, tmp_path / EXTRAS)
    with pytest.raises(DesiderataError, match="not a DeCap decoder"):
        load_decoder(str(tmp_path))


def test_a_language_model_that_lacks_a_weight_is_not_filled_up_at_random(decoder: DecapDecoder, tmp_path: Path):
    decoder.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["transformer.ln_f.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DesiderataError, match=r"no whole GPT2LMHeadModel: 1 of its weights .* transformer\.ln_f"):
        load_decoder(str(tmp_path))


def test_a_decoder_put_together_from_two_is_refused(decoder: DecapDecoder, tmp_path: Path):
    decoder.save(tmp_path)
    other = {"prefix.weight": torch.zeros(16, 6), "prefix.bias": torch.zeros(16), "memory": decoder.memory}
    save_file(other, tmp_path / EXTRAS)
    with pytest.raises(DesiderataError, match="made of two decoders"):
        load_decoder(str(tmp_path))


def test_the_identity_weighs_ridge_times_d_pairs_in_each_direction():
    # Centred texts of equal length along every axis, so that "evidence in each direction" has one value.
    d, ridge = 4, 0.5
    texts = np.concatenate([np.eye(d), -np.eye(d)])
    found = Bridge.fit(texts, 3 * texts, ridge=ridge).matrix
    pairs = len(texts)  # each with 1/d of a squared length in a direction, on average
    np.testing.assert_allclose(found, np.eye(d) * (3 * pairs + ridge * d) / (pairs + ridge * d))


class Writes:
    """Writes what it is told to, whatever the picture."""

    def __init__(self, likeliest: str, others: list[str]):
        self.likeliest, self.others = likeliest, others

    def decode(self, vectors):
        return [self.likeliest for _ in vectors]

    def sample(self, vectors, n, seed, *, temperature=1.0):
        return [self.others[:n] for _ in vectors]


def test_a_picture_gets_the_nearest_sentence_that_names_what_it_shows():
    letters = Letters()
    picture = letters.texts(["a photo of a cat, a cat, cats"])
    writes = Writes("a kite in a cathedral", ["a zebra with a cat", "two cats", "a dog and a cat"])
    (found,) = describe_pictures(writes, letters, picture, ("cat", "dog"))
    assert (found.label, found.agrees) == ("cat", True)
    assert found.text == "two cats"
    assert found.cosine == pytest.approx(float(letters.texts(["two cats"])[0] @ picture[0]))


def test_a_picture_whose_class_no_sentence_names_gets_the_nearest_one_and_that_is_said():
    letters = Letters()
    picture = letters.texts(["a photo of a cat"])
    (found,) = describe_pictures(Writes("a kite", ["a photo of a taco"]), letters, picture, ("cat", "dog"), n=1)
    assert (found.text, found.agrees) == ("a photo of a taco", False)
    assert describe_pictures(Writes("a kite", []), letters, picture[:0], ("cat",)) == []
    with pytest.raises(DesiderataError, match="without classes"):
        describe_pictures(Writes("a kite", []), letters, picture, ())


def test_a_class_is_named_by_a_whole_word_only():
    find = whole_words(("cat", "fox", "ice cream"))
    assert find("Two Cats eat ice cream in a cathedral") == {"cat", "ice cream"}
    assert find("three foxes") == {"fox"}


@pytest.mark.parametrize(
    ("said", "nouns"),
    [
        (
            "a",
            [
                "cat",
                "unicorn",
                "uniform",
                "university",
                "UFO",
                "ukulele",
                "used car",
                "euro",
                "one-way street",
                "hut",
            ],
        ),
        ("an", ["airplane", "owl", "Igloo", "umbrella", "uninhabited island", "urn", "hourglass", "onion", "usher"]),
    ],
)
def test_articles_go_by_what_is_heard(said: str, nouns: list[str]):
    assert [with_article(noun) for noun in nouns] == [f"{said} {noun}" for noun in nouns]
