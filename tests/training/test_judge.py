"""The judge learns from scenes, goes on where it stopped, and says of each picture what it shows."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from desiderata.cli import main
from desiderata.errors import DesiderataError
from desiderata.foundation.judge import Chances, Judge, load_judge
from desiderata.foundation.judge_network import CONFIG, WEIGHTS, JudgeConfig, JudgeNetwork, load_network, save_network
from desiderata.randomness import stream
from desiderata.training import corpus, judge_scenes
from desiderata.training import judge as training
from desiderata.training.corpus import load_shard
from desiderata.training.distortion import destroyed, distorted
from desiderata.training.evaluate_generator import evaluate_generator
from desiderata.training.evaluate_judge import evaluate_judge, one_and_two
from desiderata.training.judge_scenes import CONCEPTS, STYLES, JudgeTargets, draw_map, draw_scenes
from desiderata.worlds.moji.catalogue import CONCEPTS as CATALOGUE
from desiderata.worlds.moji.grammar import parse
from desiderata.worlds.moji.held_out import HELD_OUT_STYLES, SUBJECTS, draw
from desiderata.worlds.moji.sampler import complete
from desiderata.worlds.moji.scene import BACKGROUNDS, Group, Scene

SMALL = JudgeConfig(CONCEPTS, BACKGROUNDS, STYLES, widths=(4, 8, 8), blocks=(1, 1), hidden=16)
SCENE = Scene((Group("fox", 2), Group("clock")), "left of", "beach", "crayon")


@pytest.fixture
def network() -> JudgeNetwork:
    torch.manual_seed(0)
    return JudgeNetwork(SMALL)


def pictures(n: int, size: int = 64) -> list[np.ndarray]:
    return [draw(scene, stream(0, index), size) for index, scene in enumerate(one_and_two(n, "test"))]


class Knowing(Judge):
    """Knows what was asked for, and sees it unless it is told otherwise."""

    def __init__(self, network: JudgeNetwork, scenes: Sequence[Scene]) -> None:
        super().__init__(network)
        self.scenes = scenes

    def chances(self, images) -> Chances:
        counts = np.zeros((len(images), len(CONCEPTS), 4))
        counts[:, :, 0] = 1
        background, style = np.zeros((len(images), len(BACKGROUNDS))), np.zeros((len(images), len(STYLES)))
        for row, scene in enumerate(self.scenes):
            for group in scene.groups:
                counts[row, CONCEPTS.index(group.concept)] = np.eye(4)[group.count] * 0.9 + np.eye(4)[0] * 0.1
            background[row, BACKGROUNDS.index(scene.background)] = 0.8
            style[row, STYLES.index(scene.style)] = 0.7
        return Chances(counts, background, style)


def test_it_knows_the_world_and_what_is_held_out():
    assert (*CATALOGUE, *SUBJECTS) == CONCEPTS
    assert set(STYLES) > set(HELD_OUT_STYLES)
    scenes = draw_scenes(400, stream(0))
    held_out = [
        (any(group.concept in SUBJECTS for group in scene.groups), scene.style in HELD_OUT_STYLES) for scene in scenes
    ]
    assert all(any(pair) for pair in held_out)
    assert 0.04 < np.mean([all(pair) for pair in held_out]) < 0.17


def test_targets_say_what_is_shown_and_where():
    targets = JudgeTargets.of([SCENE], draw_map(SCENE, stream(0), 64)[None])
    fox, clock = CONCEPTS.index("fox"), CONCEPTS.index("clock")
    assert targets.counts.nonzero().tolist() == [[0, clock], [0, fox]]
    assert targets.counts[0, [fox, clock]].tolist() == [2, 1]
    assert STYLES[int(targets.style)] == "crayon"
    assert set(targets.maps.unique().tolist()) == {0, 1 + fox, 1 + clock}
    assert (targets.maps[0] == 1 + fox).nonzero()[:, 1].double().mean() < (targets.maps[0] == 1 + clock).nonzero()[
        :, 1
    ].double().mean()


def pixels(n: int) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures(n))).permute(0, 3, 1, 2).float() / 255


def test_distorted_pictures_still_look_alike_and_depend_on_the_generator_alone():
    clean = pixels(8)
    first, again, other = (distorted(clean, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == clean.shape
    assert 0 <= first.min() <= first.max() <= 1
    # Moved and perhaps mirrored, a picture keeps its tone.
    assert (first.mean((1, 2, 3)) - clean.mean((1, 2, 3))).abs().max() < 0.2


def test_destroyed_pictures_keep_their_background_and_nothing_else():
    scenes = one_and_two(8, "test")
    clean = pixels(8)
    maps = torch.from_numpy(
        np.stack([draw_map(scene, stream(0, i), 64) for i, scene in enumerate(scenes)]).astype(int)
    )
    gone = destroyed(clean, maps, torch.Generator().manual_seed(0))
    changed = (gone != clean).any(1)
    there = torch.nn.functional.interpolate((maps > 0).float().unsqueeze(1), size=(64, 64)).squeeze(1) > 0
    assert changed[there].double().mean() > 0.3
    around = torch.nn.functional.max_pool2d(there.float().unsqueeze(1), 17, 1, 8).squeeze(1) > 0
    assert not changed[~around].any()


def test_training_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judge_scenes, "SHARD", 16)
    monkeypatch.setattr(corpus, "SHARD", 16)
    monkeypatch.setattr(training, "new_network", lambda: JudgeNetwork(SMALL))
    recipe = training.JudgeRecipe(shards=1, held_out_shards=1, pictures=96, batch=16)

    def weights(folder: Path, stop: int = 10**6) -> dict[str, torch.Tensor]:
        corpus.make_shard(folder / "scenes-refine", 0, seed=1, size=64)
        trainer = training.JudgeTrainer(folder, recipe, report=lambda _: None)
        step, taken = trainer.step, iter(range(stop))

        def until(*rows):
            next(taken)  # raises StopIteration where the run is to be killed
            return step(*rows)

        monkeypatch.setattr(trainer, "step", until)
        trainer.run(save_every=2)
        return trainer.network.state_dict()

    whole = weights(tmp_path / "a")
    with pytest.raises(StopIteration):
        weights(tmp_path / "b", stop=3)
    torch.manual_seed(9)
    resumed = weights(tmp_path / "b")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    with pytest.raises(DesiderataError, match="another recipe"):
        training.JudgeTrainer(tmp_path / "a", replace(recipe, pictures=64), report=lambda _: None).run()
    assert [scene.style for scene in load_shard(tmp_path / "a" / "scenes-judge", 0).scenes] == [
        scene.style for scene in draw_scenes(16, stream(0, "judge scenes", 0))
    ]


def test_a_few_pictures_are_learnt_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judge_scenes, "SHARD", 16)
    monkeypatch.setattr(corpus, "SHARD", 16)
    monkeypatch.setattr(training, "distorted", lambda pixels, _: pixels)
    small = replace(SMALL, widths=(8, 24, 48), hidden=64)
    monkeypatch.setattr(training, "new_network", lambda: JudgeNetwork(small))
    corpus.make_shard(tmp_path / "scenes-refine", 0, seed=1, size=64)
    recipe = training.JudgeRecipe(
        shards=1, held_out_shards=1, pictures=32 * 60, batch=32, destroyed=0.0, learning_rate=5e-3
    )
    trainer = training.JudgeTrainer(tmp_path, recipe, report=lambda _: None)
    judge = Judge(trainer.run())
    shard = load_shard(tmp_path / "scenes-judge", 0)
    scores = judge.score(list(shard.images), shard.scenes)
    for part in ("subject", "background", "style"):
        assert np.mean([getattr(score, part) for score in scores]) > 0.8, part


def test_verdicts_name_what_is_more_likely_shown_than_not(network: JudgeNetwork):
    (verdict,) = Knowing(network, [SCENE]).look(pictures(1))
    assert verdict.shown == pytest.approx({"clock": 0.9, "fox": 0.9})
    assert verdict.counts == {"fox": 2, "clock": 1}
    assert (verdict.background, verdict.background_probability) == ("beach", 0.8)
    assert (verdict.style, verdict.style_probability) == ("crayon", 0.7)


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        (SCENE, set()),
        (replace(SCENE, groups=(Group("fox"), Group("clock"))), {"counts"}),
        (replace(SCENE, groups=(Group("fox", 2),)), {"nothing_else"}),
        (replace(SCENE, groups=(Group("fox", 2), Group("cat"))), {"objects", "counts", "nothing_else"}),
        (replace(SCENE, groups=(Group("cat"), Group("clock"))), {"subject", "objects", "counts", "nothing_else"}),
        (replace(SCENE, background="sea"), {"background"}),
        (replace(SCENE, style="photo"), {"style"}),
    ],
)
def test_scores_tell_what_is_wrong(network: JudgeNetwork, asked: Scene, wrong: set[str]):
    (score,) = Knowing(network, [SCENE]).score(pictures(1), [asked])
    parts = ("subject", "objects", "counts", "nothing_else", "background", "style")
    assert {part for part in parts if not getattr(score, part)} == wrong


def test_identity_is_the_chance_that_a_subject_is_shown(network: JudgeNetwork):
    judge = Knowing(network, [SCENE, replace(SCENE, groups=(Group("cat"),), relation=None)])
    assert judge.identity(pictures(2), "fox") == pytest.approx([0.9, 0.0])
    with pytest.raises(DesiderataError, match="dragon"):
        judge.identity(pictures(2), "dragon")


def test_what_is_said_of_a_picture_does_not_depend_on_the_others(network: JudgeNetwork):
    judge, shown = Judge(network), pictures(5)
    together = judge.chances(shown)
    alone = judge.chances(shown[3:4])
    assert np.array_equal(together.counts[3], alone.counts[0])
    assert np.array_equal(together.style[3], alone.style[0])
    assert together.counts.sum(-1) == pytest.approx(np.ones((5, len(CONCEPTS))))
    assert judge.look([]) == []
    assert judge.identity([], "fox").shape == (0,)


def test_pictures_of_any_size_and_kind_are_taken(network: JudgeNetwork):
    judge = Judge(network)
    (shown,) = pictures(1)
    image = Image.fromarray(shown)
    assert judge.look([shown]) == judge.look([image]) == judge.look([image.convert("RGBA")])
    assert len(judge.look([np.zeros((512, 384, 3), np.uint8), image.convert("L")])) == 2
    for wrong in (np.zeros((64, 64), np.uint8), shown / 255):
        with pytest.raises(DesiderataError, match="RGB"):
            judge.look([wrong])  # pyright: ignore[reportArgumentType]


def test_mistakes_are_told(network: JudgeNetwork):
    judge = Judge(network)
    with pytest.raises(DesiderataError, match="pair up"):
        judge.score(pictures(2), [SCENE])
    for scene, word in (
        (replace(SCENE, groups=(Group("dragon"),)), "dragon"),
        (replace(SCENE, background="moon"), "moon"),
        (replace(SCENE, style="cubist"), "cubist"),
    ):
        with pytest.raises(DesiderataError, match=word):
            judge.score(pictures(1), [scene])


def test_a_judge_comes_back_from_its_directory_in_half_the_space(network: JudgeNetwork, tmp_path: Path):
    with torch.no_grad():
        for value in network.state_dict().values():
            value.copy_(value.half() if value.is_floating_point() else value)
    save_network(network, tmp_path / "judge")
    judge = load_judge(str(tmp_path / "judge"))
    assert judge.config == SMALL
    assert judge.look(pictures(2)) == Judge(network).look(pictures(2))
    parameters = sum(value.numel() for value in network.parameters())
    assert (tmp_path / "judge" / WEIGHTS).stat().st_size < 2 * parameters + 10_000
    assert sum(value.numel() for value in training.new_network().parameters()) * 2 < 4e6


def test_directories_that_hold_no_judge_are_refused(network: JudgeNetwork, tmp_path: Path):
    with pytest.raises(DesiderataError, match="cannot be loaded as a judge"):
        load_network(str(tmp_path))
    save_network(network, tmp_path)
    whole = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(whole[:200])
    with pytest.raises(DesiderataError, match="cannot be loaded as a judge"):
        load_network(str(tmp_path))
    (tmp_path / WEIGHTS).write_bytes(whole)
    said = json.loads((tmp_path / CONFIG).read_text())
    for change in ({"hidden": 8}, {"colour": "red"}):
        (tmp_path / CONFIG).write_text(json.dumps(said | change))
        with pytest.raises(DesiderataError, match="cannot be loaded as a judge"):
            load_network(str(tmp_path))


def test_scenes_to_measure_by_are_all_different_and_of_one_and_of_two_things_in_turn():
    scenes = one_and_two(60, "test")
    assert len(set(scenes)) == 60
    assert [len(scene.groups) for scene in scenes] == [1, 2] * 30
    assert {group.count for scene in scenes for group in scene.groups} == {1}
    assert scenes[:10] == one_and_two(10, "test")


def test_the_judge_is_measured(network: JudgeNetwork):
    figures = evaluate_judge(Judge(network), 4)
    assert {"subject", "both_objects", "distorted_style", "large_counts", "held_out_background", "fooled"} <= set(
        figures
    )
    assert {"identity", "identity_found", "identity_false", "identity_style"} <= set(figures)
    assert all(0 <= value <= 1 for value in figures.values())


@dataclass(frozen=True, eq=False)
class Picture:
    image: np.ndarray
    blanked: bool = False


class Renderer:
    """Draws what a sentence says exactly, but for every third picture, which a safety checker blanks."""

    def sample(
        self, prompts: Sequence[str], seeds: Sequence[int], *, progress: Callable[[int, int], None] | None = None
    ) -> list[Picture]:
        self.asked = list(zip(prompts, seeds, strict=True))
        made = [draw(complete(parse(prompt), stream(seed)), stream(seed)) for prompt, seed in self.asked]
        return [Picture(np.zeros_like(image), True) if i % 3 == 2 else Picture(image) for i, image in enumerate(made)]


def test_a_generator_is_measured_by_the_judge_and_shown(network: JudgeNetwork, tmp_path: Path):
    generator = Renderer()
    scenes = one_and_two(6, "generator")
    seen = [*scenes[:4], replace(scenes[4], groups=(Group("fox"),)), scenes[5]]
    made = evaluate_generator(generator, Knowing(network, seen), 6, seed=2)
    assert [seed for _, seed in generator.asked] == [12, 13, 14, 15, 16, 17]
    assert [prompt for prompt, _ in generator.asked] == made.captions
    assert made.figures["subject"] == pytest.approx(3 / 6)  # the third and the last are blanked, the fifth is a fox
    assert made.figures["subject_one"] == pytest.approx(1 / 3)
    assert made.figures["both_objects"] == pytest.approx(2 / 3)
    assert made.figures["all_right"] == pytest.approx(3 / 6)
    assert made.figures["background"] == made.figures["style"] == pytest.approx(4 / 6)
    assert made.figures["blanked"] == 2
    assert "objects" not in made.figures
    made.sheet(tmp_path / "sheet.png", n=5, across=3)
    with Image.open(tmp_path / "sheet.png") as image:
        assert min(image.size) > 300
    with pytest.raises(DesiderataError, match="2 or more"):
        evaluate_generator(generator, Knowing(network, seen), 1)


def test_the_command_measures_a_judge(network: JudgeNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_network(network, tmp_path / "judge")
    assert main(["models", "evaluate", str(tmp_path / "judge"), "--n", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["scenes"] == 2
    assert 0 <= said["fooled"] <= 1
