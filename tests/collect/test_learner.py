"""The classifier head in a campaign: its figures, its weights on disk, and warm starts that resume exactly."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load, save

from contracts.colours import CLASSES, Colours
from desiderata.campaign.images import digest_of
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Proposal, Query
from desiderata.collect.data import LabelledSet
from desiderata.collect.learner import CollectLearner
from desiderata.collect.state import CollectState
from desiderata.errors import Damaged, DesiderataError


def picture(label: int, rng: np.random.Generator) -> Image.Image:
    pixels = rng.integers(0, 160, (8, 8, 3))
    pixels[..., label] += 60
    return Image.fromarray(pixels.astype(np.uint8))


def labelled(n: int, seed: int) -> LabelledSet:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = [picture(label, rng) for label in labels]
    names = [f"{seed}-{i}.png" for i in range(n)]
    return LabelledSet(Colours().images(images), labels, [digest_of(image) for image in images], names)


def learner(**options) -> CollectLearner:
    return CollectLearner(
        Colours(), CLASSES, labelled(6, 1), labelled(9, 2), labelled(12, 3), hidden=(8, 8), **options
    )


class AskForOne:
    name = "one"

    def propose(self, state: CollectState, rng: np.random.Generator):
        label = state.classes[int(rng.integers(3))]
        gain = float(state.head.predict_proba(state.features).max())
        return [Proposal(label, f"a photo of a {label} square", evidence={"predicted_gain": gain}, weight=2.0)]


class Paint:
    name = "paint"

    def answer(self, query: Query, rng: np.random.Generator):
        return [(picture(CLASSES.index(query.label), rng), query.label)]


def test_figures_and_confusion_agree():
    campaign = Campaign.create(None, learner=learner(), strategy=AskForOne())
    figures = campaign.rounds[0].metrics
    assert set(figures) == {
        "train_accuracy",
        "validation_accuracy",
        "validation_loss",
        "test_accuracy",
        "test_loss",
        "gradient_norm",
    }
    assert figures["gradient_norm"] <= 1e-5
    for part, n in (("validation", 9), ("test", 12)):
        counts = campaign.learner.confusion(part)
        assert counts.sum() == n
        assert counts.trace() / n == figures[f"{part}_accuracy"]
        assert counts.sum(axis=1).tolist() == [n // 3] * 3


def test_the_state_holds_everything_labelled_with_its_weights():
    campaign = Campaign.create(None, learner=learner(), strategy=AskForOne())
    campaign.run(Paint(), 2)
    state = campaign.learner.state(campaign.exchanges(), 3)
    assert state.features.shape == (8, 3)
    assert state.weights.tolist() == [1.0] * 6 + [2.0] * 2
    assert state.labels[6:].tolist() == [int(exchange.labels[0]) for exchange in state.exchanges]
    np.testing.assert_array_equal(state.features[6:], np.vstack([e.features for e in state.exchanges]))
    np.testing.assert_array_equal(np.linalg.norm(state.features, axis=1).round(12), 1)


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_reopened_campaign_gives_the_same_bytes(warm_start: bool, tmp_path: Path):
    def fresh() -> CollectLearner:
        return learner(warm_start=warm_start)

    stayed = Campaign.create(tmp_path / "stayed", learner=fresh(), strategy=AskForOne())
    stayed.run(Paint(), 4)
    for rounds in range(5):
        if rounds == 0:
            opened = Campaign.create(tmp_path / "opened", learner=fresh(), strategy=AskForOne())
        opened = Campaign.open(tmp_path / "opened", learner=fresh(), strategy=AskForOne())
        opened.run(Paint(), rounds)
    assert opened.history() == stayed.history()
    weights = [(tmp_path / name / "rounds" / "004.safetensors").read_bytes() for name in ("stayed", "opened")]
    assert weights[0] == weights[1]


def test_the_past_can_be_looked_at():
    campaign = Campaign.create(None, learner=learner(), strategy=AskForOne())
    campaign.run(Paint(), 3)
    for past in campaign.rounds:
        assert campaign.learner_at(past.number).evaluate() == past.metrics


def test_the_weights_are_a_plain_safetensors_file(tmp_path: Path):
    campaign = Campaign.create(tmp_path / "run", learner=learner(), strategy=AskForOne())
    tensors = load((tmp_path / "run" / "rounds" / "000.safetensors").read_bytes())
    assert tensors["theta"].dtype == np.float64
    assert campaign.learner.save() == (tmp_path / "run" / "rounds" / "000.safetensors").read_bytes()
    other = CollectLearner(Colours(), CLASSES, labelled(6, 1), labelled(9, 2), hidden=(9, 9))
    with pytest.raises(DesiderataError, match="another head"):
        Campaign.open(tmp_path / "run", learner=other, strategy=AskForOne()).ask()


def test_pictures_that_are_measured_on_are_not_taken_as_answers():
    rng = np.random.default_rng(3)
    campaign = Campaign.create(None, learner=learner(), strategy=AskForOne())
    with pytest.raises(DesiderataError, match=r"the test image 3-0\.png"):
        campaign.tell(campaign.ask()[0], [picture(0, rng)])


def test_sets_that_do_not_fit_are_refused():
    some = labelled(6, 1)
    with pytest.raises(DesiderataError, match="no initial example of blue"):
        CollectLearner(Colours(), CLASSES, LabelledSet(some.features[:2], some.labels[:2]), some)
    with pytest.raises(DesiderataError, match="no validation examples"):
        CollectLearner(Colours(), CLASSES, some, LabelledSet(some.features[:0], some.labels[:0]))
    with pytest.raises(DesiderataError, match="one of each"):
        LabelledSet(some.features, some.labels[:3])
    with pytest.raises(DesiderataError, match="give as many"):
        LabelledSet(some.features, some.labels, some.images)
    with pytest.raises(DesiderataError, match="no test examples"):
        CollectLearner(Colours(), CLASSES, some, some).confusion()


def without(name: str, weights: bytes) -> bytes:
    return save({key: value for key, value in load(weights).items() if key != name})


@pytest.mark.parametrize(
    "damage",
    [
        lambda weights: weights[: len(weights) // 2],
        lambda weights: b"",
        lambda weights: without("theta", weights),
        lambda weights: without("steps", weights),
        lambda weights: save({**load(weights), "gradient_norm": np.empty(0)}),
    ],
    ids=["cut short", "empty", "no theta", "no steps", "no gradient norm"],
)
def test_damaged_weights_are_one_sentence_and_leave_the_learner_as_it_was(damage):
    made = learner()
    made.fit([], np.random.default_rng(0))
    weights, figures = made.save(), made.evaluate()
    with pytest.raises(Damaged, match=r"weights are damaged.*\.$"):
        made.load(damage(weights), [])
    assert (made.save(), made.evaluate()) == (weights, figures)


def test_numpys_numbers_are_saved_like_others():
    made = [learner(seed=seed, max_iterations=limit) for seed, limit in ((3, 500), (np.int64(3), np.int32(500)))]
    for one in made:
        one.fit([], np.random.default_rng(0))
    assert made[0].save() == made[1].save()
