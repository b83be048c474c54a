"""Training goes on where it stopped, and the judges count rightly."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from desiderata.errors import DesiderataError
from desiderata.randomness import stream
from desiderata.training import corpus, moji_clip, refine
from desiderata.training.checkpoint import load_checkpoint, save_checkpoint
from desiderata.training.corpus import Batches, draw_map, draw_scenes, family, load_shard, make_corpus
from desiderata.training.evaluate import _kept, _retrieval
from desiderata.training.moji_decap import DecapRecipe, train_decoder
from desiderata.training.tokenizer import train_tokenizer
from desiderata.worlds.moji.sampler import sample_scene
from desiderata.worlds.moji.scene import CLASSES, Group, Scene

PARTS = ("groups", "relation", "background", "style")


def test_relatives_differ_in_one_attribute():
    for index in range(60):
        rng = stream(0, index)
        scene = sample_scene(rng)
        first, *others = family(scene, rng)
        assert first == scene
        changed = [[name for name in PARTS if getattr(other, name) != getattr(scene, name)] for other in others]
        assert changed[0] == ["groups"]
        assert changed[1] in (["background"], ["style"])
        assert len(changed[2]) <= 1


def test_one_relative_shows_another_object_of_the_same_kind_in_one_place():
    for index in range(60):
        rng = stream(1, index)
        scene = sample_scene(rng)
        other = family(scene, rng)[1]
        pairs = [(a, b) for a, b in zip(scene.groups, other.groups, strict=True) if a != b]
        assert len(pairs) == 1
        ((before, after),) = pairs
        assert before.count == after.count
        assert (before.concept in CLASSES) == (after.concept in CLASSES)
        assert after.concept not in {group.concept for group in scene.groups}


def test_the_map_shows_what_stands_where():
    scene = Scene((Group("cat"), Group("dog")), "left of", "white", "photo")
    cells = draw_map(scene, stream(1), 64)
    cat, dog = (1 + corpus._CONCEPT[name] for name in ("cat", "dog"))
    assert set(np.unique(cells)) == {0, cat, dog}
    assert np.nonzero(cells == cat)[1].mean() < np.nonzero(cells == dog)[1].mean()


def test_batches_cover_an_epoch_and_keep_families_together():
    order = Batches([16, 16], 8, stream(0))
    rows = [order[number] for number in range(4)]
    assert len({pair for batch in rows for pair in batch}) == 32
    assert all(batch[i][1] % 4 == 0 and batch[i + 3][1] == batch[i][1] + 3 for batch in rows for i in (0, 4))


def test_a_checkpoint_restores_the_optimizer_exactly(tmp_path: Path):
    def fresh():
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    def step(model, optimizer, seed):
        model(torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    whole, optimizer = fresh()
    for seed in range(4):
        step(whole, optimizer, seed)
    first, optimizer = fresh()
    for seed in range(2):
        step(first, optimizer, seed)
    save_checkpoint(tmp_path / "c.safetensors", {"m": first}, optimizer, 2)
    again, optimizer = fresh()
    assert load_checkpoint(tmp_path / "c.safetensors", {"m": again}, optimizer) == 2
    for seed in range(2, 4):
        step(again, optimizer, seed)
    assert torch.equal(whole.weight, again.weight)
    with pytest.raises(DesiderataError, match="another recipe"):
        load_checkpoint(tmp_path / "c.safetensors", {"m": again}, optimizer, "of something else")
    assert load_checkpoint(tmp_path / "none.safetensors", {"m": again}, optimizer) == 0


@pytest.mark.slow
def test_moji_clip_trains_and_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus, "SHARD", 32)
    words = moji_clip.moji_tokenizer(captions=1000)
    monkeypatch.setattr(moji_clip, "moji_tokenizer", lambda: words)
    recipe = replace(moji_clip.Recipe(), shards=1, pictures=48, batch=8, large_batch=16, large_share=0.34)

    def weights(folder: Path, stop: int = 10**6) -> dict[str, torch.Tensor]:
        corpus.make_shard(folder / "scenes", 0, seed=recipe.seed, size=moji_clip.SIZE)
        trainer = moji_clip.Trainer(folder, recipe)
        step, taken = trainer.step, iter(range(stop))

        def until(rows, rng):
            next(taken)  # raises StopIteration where the run is to be killed
            return step(rows, rng)

        monkeypatch.setattr(trainer, "step", until)
        trainer.run(report=lambda _: None, save_every=2)
        return trainer.model.state_dict()

    whole = weights(tmp_path / "a")
    with pytest.raises(StopIteration):
        weights(tmp_path / "b", stop=3)
    torch.manual_seed(9)
    resumed = weights(tmp_path / "b")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> moji_clip.Trainer:
    monkeypatch.setattr(corpus, "SHARD", 32)
    words = moji_clip.moji_tokenizer(captions=1000)
    monkeypatch.setattr(moji_clip, "moji_tokenizer", lambda: words)
    corpus.make_shard(tmp_path / "scenes", 0, seed=0, size=moji_clip.SIZE)
    return moji_clip.Trainer(tmp_path, replace(moji_clip.Recipe(), shards=1))


def test_further_layers_change_nothing_at_first(trained: moji_clip.Trainer):
    deeper = refine.with_further_layers(trained.model, 2).eval()
    pixels = torch.randn(3, 3, moji_clip.SIZE, moji_clip.SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = trained.model.eval().get_image_features(pixel_values=pixels).pooler_output
        after = deeper.get_image_features(pixel_values=pixels).pooler_output
    assert deeper.config.vision_config.num_hidden_layers == trained.model.config.vision_config.num_hidden_layers + 2
    assert torch.allclose(before, after, atol=1e-6)


@pytest.mark.slow
def test_refining_leaves_sentences_alone_and_goes_on_to_the_same_weights(tmp_path: Path, trained: moji_clip.Trainer):
    recipe = refine.Refinement(shards=1, pictures=(16, 32), batch=16, layers=1)
    corpus.make_shard(tmp_path / "whole" / "scenes-refine", 0, seed=recipe.seed, size=moji_clip.SIZE)
    corpus.make_shard(tmp_path / "cut" / "scenes-refine", 0, seed=recipe.seed, size=moji_clip.SIZE)
    heads = {name: copy.deepcopy(getattr(trained, name)) for name in ("heads", "patches")}

    def refined(folder: Path, pictures: int) -> dict[str, torch.Tensor]:
        for name, module in heads.items():
            setattr(trained, name, copy.deepcopy(module))
        refiner = refine.Refiner(trained, folder, recipe)
        step, taken = refiner.step, iter(range(pictures // recipe.batch))

        def until(rows, rng):
            next(taken)  # raises StopIteration where the run is to be killed
            return step(rows, rng)

        refiner.step = until
        return refiner.run(report=lambda _: None, save_every=1).state_dict()

    whole = refined(tmp_path / "whole", sum(recipe.pictures))
    with pytest.raises(StopIteration):
        refined(tmp_path / "cut", sum(recipe.pictures) - recipe.batch)
    resumed = refined(tmp_path / "cut", sum(recipe.pictures))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    before = trained.model.state_dict()
    assert all(torch.equal(whole[name], before[name]) for name in before if name.startswith("text"))
    assert not torch.equal(whole["visual_projection.weight"], before["visual_projection.weight"])


class Counts:
    """Counts letters: enough of an encoder to train a decoder on."""

    name, dim = "counts", 26

    def texts(self, texts):
        rows = np.array([[text.count(chr(97 + i)) + 0.1 for i in range(26)] for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def images(self, images):
        raise AssertionError("a decoder learns from sentences alone")


def test_a_decoder_that_is_trained_already_comes_from_its_checkpoint(tmp_path: Path):
    captions = ["a cat on the grass", "two dogs in the snow", "a red ship at sea"] * 8
    recipe = DecapRecipe(memory=3, epochs=120, batch=12, width=64, layers=1)
    lines: list[str] = []

    def train():
        words = train_tokenizer(captions)
        return train_decoder(Counts(), words, captions, recipe, tmp_path / "decap.safetensors", lines.append)

    points = Counts().texts(captions[:3])
    first = train()
    assert first.decode(points) == captions[:3]
    again = train()
    assert again.decode(again.project(points)) == first.decode(first.project(points)) == captions[:3]


def test_a_corpus_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus, "SHARD", 16)
    corpus.make_shard(tmp_path, 0, seed=0, size=32)
    first = (tmp_path / "0000-images.npy").read_bytes()
    make_corpus(tmp_path, 1, size=32)
    assert (tmp_path / "0000-images.npy").read_bytes() == first
    shard = load_shard(tmp_path, 0)
    assert shard.images.shape == (16, 32, 32, 3)
    assert shard.scenes == draw_scenes(16, stream(0, "corpus", 0))
    with pytest.raises(DesiderataError, match="another kind, seed or size"):
        make_corpus(tmp_path, 1, size=64)


def test_batches_that_cannot_be_cut_are_refused():
    for size in (10, 0, 96):
        with pytest.raises(DesiderataError, match="families of 4"):
            Batches([32], size, stream(0))


def test_a_checkpoint_without_its_tokenizer_is_refused(tmp_path: Path, trained: moji_clip.Trainer):
    trained.checkpoint.touch()
    shutil.rmtree(tmp_path / "tokenizer")
    with pytest.raises(DesiderataError, match="lost its tokenizer"):
        moji_clip.Trainer(tmp_path, trained.recipe)


def test_a_decoder_of_another_encoder_does_not_go_on_from_this_one(tmp_path: Path):
    captions = ["a cat on the grass", "two dogs in the snow", "a red ship at sea"] * 8
    recipe = DecapRecipe(memory=3, epochs=1, batch=12, width=64, layers=1)
    checkpoint = tmp_path / "decap.safetensors"
    train_decoder(Counts(), train_tokenizer(captions), captions, recipe, checkpoint, lambda _: None)
    other = Counts()
    other.texts = lambda texts: Counts.texts(other, [text[::2] for text in texts])
    with pytest.raises(DesiderataError, match="another model"):
        train_decoder(other, train_tokenizer(captions), captions, recipe, checkpoint, lambda _: None)


def test_judges_count_rightly():
    eye = np.eye(4)
    assert _retrieval(eye, eye, 2) == 1.0
    assert _retrieval(eye, eye[[1, 0, 3, 2]], 2) == 0.0
    scenes = [Scene((Group("cat"), Group("clock")), "next to", "grass", "photo")] * 4
    said = ["a cat next to a clock", "a cat on the grass", "a dog next to a clock", "gibberish"]
    assert _kept(said, scenes) == {"parsed": 0.75, "class_kept": 0.5, "objects_exact": 0.25}
