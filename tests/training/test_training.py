"""Training goes on where it stopped, and the judges count rightly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from desiderata.randomness import stream
from desiderata.training import corpus, moji_clip
from desiderata.training.checkpoint import load_checkpoint, save_checkpoint
from desiderata.training.corpus import batches, draw_map, draw_scenes, family, load_shard, make_corpus
from desiderata.training.evaluate import _kept, _retrieval
from desiderata.training.moji_decap import DecapRecipe, train_decoder
from desiderata.training.tokenizer import train_tokenizer
from desiderata.worlds.moji.sampler import sample_scene
from desiderata.worlds.moji.scene import Group, Scene


def test_relatives_differ_in_one_attribute():
    for index in range(30):
        rng = stream(0, index)
        scene = sample_scene(rng)
        first, *others = family(scene, rng)
        assert first == scene
        for other in others:
            changed = [
                name
                for name in ("groups", "relation", "background", "style")
                if getattr(other, name) != getattr(scene, name)
            ]
            assert len(changed) <= 1
        assert others[0].background != scene.background
        assert others[1].style != scene.style


def test_the_map_shows_what_stands_where():
    scene = Scene((Group("cat"), Group("dog")), "left of", "white", "photo")
    cells = draw_map(scene, stream(1), 64)
    cat, dog = (1 + corpus._CONCEPT[name] for name in ("cat", "dog"))
    assert set(np.unique(cells)) == {0, cat, dog}
    assert np.nonzero(cells == cat)[1].mean() < np.nonzero(cells == dog)[1].mean()


def test_batches_cover_an_epoch_and_keep_families_together():
    rows = [row for _, row in zip(range(4), batches([16, 16], 8, stream(0)))]
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


def test_judges_count_rightly():
    eye = np.eye(4)
    assert _retrieval(eye, eye, 2) == 1.0
    assert _retrieval(eye, eye[[1, 0, 3, 2]], 2) == 0.0
    scenes = [Scene((Group("cat"), Group("clock")), "next to", "grass", "photo")] * 4
    said = ["a cat next to a clock", "a cat on the grass", "a dog next to a clock", "gibberish"]
    assert _kept(said, scenes) == {"parsed": 0.75, "class_kept": 0.5, "objects_exact": 0.25}
