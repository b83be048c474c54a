"""A campaign is put together from names, and again from what was recorded."""

from pathlib import Path

import numpy as np
import pytest
from test_learner import picture

from contracts.colours import CLASSES, Colours
from desiderata.campaign.config import Config
from desiderata.campaign.loop import Campaign
from desiderata.collect import build
from desiderata.collect.learner import CollectLearner
from desiderata.collect.start import LeftOut
from desiderata.collect.toolbox import RetrievalDescriber
from desiderata.errors import DesiderataError


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CollectLearner.__init__.__kwdefaults__, "tolerance", 10.0)  # any head will do
    monkeypatch.setattr(build, "load_encoder", lambda _name: Colours())


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(4):
            picture(label, rng).save(tmp_path / "images" / name / f"{i}.png")
    return tmp_path / "images"


def config(images: Path, strategy: str = "random-text", **options) -> Config:
    world = {"kind": "folder", "images": str(images), "validation_share": 0.5, **options}
    return Config(seed=1, half="collect", world=world, encoder="colours", strategy={"name": strategy})


@pytest.mark.parametrize("strategy", ["random-text", "genmqd", "text-influence"])
def test_a_campaign_made_from_names_is_built_again_from_its_directory(strategy: str, images: Path, tmp_path: Path):
    made, left_out = build.create(tmp_path / "run", config(images, strategy), None)
    assert left_out == LeftOut()
    asked = made.ask()
    assert sorted(query.label for query in asked) == sorted(CLASSES)
    opened = Campaign.open(tmp_path / "run")
    assert opened.ask() == asked
    assert opened.learner.save() == made.learner.save()


def test_captions_of_the_users_own_are_asked_for(images: Path, tmp_path: Path):
    captions = tmp_path / "captions.txt"
    captions.write_text("a red door\nthe green hills\nblue\n")
    made, _ = build.create(tmp_path / "run", config(images, "random-description", captions=str(captions)))
    texts = {query.label: query.text for query in made.ask()}
    assert "a red door" in texts["red"]
    assert "the green hills" in texts["green"]
    captions.write_text("a red door\n")
    with pytest.raises(DesiderataError, match=r"nothing to say about '(green|blue)'"):
        build.create(tmp_path / "other", config(images, captions=str(captions)))
    assert not (tmp_path / "other").exists()


def test_a_bank_is_embedded_once(images: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch):
    first, _ = build.create(tmp_path / "run", config(images, "random-description"))
    assert len(list((own_cache / "banks").iterdir())) == 1
    monkeypatch.setattr(build.SentenceBank, "of", None)
    again, _ = build.create(tmp_path / "again", config(images, "random-description"))
    assert [query.text for query in again.ask()] == [query.text for query in first.ask()]


@pytest.mark.parametrize(("tower", "fresh"), [("accent", True), ("tint", False)], ids=["text", "picture"])
def test_a_bank_is_kept_for_as_long_as_the_text_tower_is(tower: str, fresh: bool):
    sentences = {name: [f"a {name} {noun}" for noun in ("square", "door", "sky", "hat")] for name in CLASSES}
    build._embedded(sentences, Colours())
    kept, other = Colours(), Colours(**{tower: 0.5})
    build._embedded(sentences, kept)
    assert (kept.read, kept.embedded) == (6, 0)  # some of the twelve, to tell encoders apart by, and no picture
    bank = build._embedded(sentences, other)
    assert other.read == (6 + 12 if fresh else 6)
    for name in CLASSES:
        np.testing.assert_array_equal(bank.embeddings[name], other.texts(sentences[name]))


def test_the_decoder_of_drawn_scenes_is_for_the_drawn_world(images: Path):
    encoder = Colours()
    encoder.name = "moji-clip"
    own = build.toolbox(config(images, "genmqd"), encoder, CLASSES)
    assert isinstance(own.describer, RetrievalDescriber)
    assert not any("blueprint" in text for texts in own.bank.sentences.values() for text in texts)
    drawn = Config(half="collect", world={"kind": "moji"}, encoder="moji-clip", strategy={"name": "genmqd"})
    assert isinstance(build.toolbox(drawn, encoder, ("cat", "dog")).describer, build._DecoderWhenNeeded)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"strategy": {"name": "psychic"}}, "No strategy is called 'psychic'"),
        ({"strategy": {"name": "genmqd", "colour": 1}}, "strategy genmqd has no setting 'colour'"),
        ({"head": {"depth": 3}}, "The head cannot be made"),
        ({"head": {"l2": 0}}, "l2 is 0"),
        ({"head": {"l2": "small"}}, "l2 is 'small'"),
        ({"head": {"hidden": [8, -1]}}, "at least one unit"),
        ({"head": {"hidden": "64"}}, "at least one unit"),
        ({"head": {"max_iterations": 0}}, "max_iterations is 0"),
        ({"strategy": {"name": "genmqd", "steps": -1}}, "steps is -1"),
        ({"strategy": {"name": "text-influence", "best": 0}}, "best is 0"),
        ({"world": {"kind": "mars"}}, "no world of the kind 'mars'"),
    ],
)
def test_names_that_mean_nothing(change: dict, says: str, images: Path, tmp_path: Path):
    from dataclasses import replace

    with pytest.raises(DesiderataError, match=says):
        build.create(tmp_path / "run", replace(config(images), **change))


def test_the_head_is_as_the_configuration_says(images: Path, tmp_path: Path):
    from dataclasses import replace

    made, _ = build.create(tmp_path / "run", replace(config(images), head={"hidden": [5, 4], "warm_start": True}))
    assert made.learner.head.hidden == (5, 4)
    assert Campaign.open(tmp_path / "run").learner.head.warm_start is True
