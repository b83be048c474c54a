"""From campaigns to reports: a small classifier of colours, and a learner that is no classifier at all."""

import numpy as np
import pytest
from PIL import Image

from contracts.colours import CLASSES, Colours
from desiderata.campaign.images import digest_of
from desiderata.campaign.learner import Held
from desiderata.campaign.loop import Campaign
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Proposal
from desiderata.collect.data import LabelledSet
from desiderata.collect.learner import CollectLearner
from desiderata.report.build import of_campaign
from desiderata.report.page import render


class Ask:
    def __init__(self, name="ask", feature=False):
        self.name, self.feature = name, feature

    def propose(self, state, rng):
        point = np.array([1.0, 0, 0]) if self.feature else None
        evidence = {"predicted_gain": float(rng.random())}
        return [Proposal(label, "" if self.feature else f"a {label} square", point, evidence) for label in CLASSES]


class Paint:
    name = "paint"

    def answer(self, query, rng):
        if query.id == "r001-q02":
            raise CannotAnswer("There is no paint left.")
        label = "blue" if query.id == "r002-q01" else query.label
        return [(picture(CLASSES.index(label), rng), label) for _ in range(2)]


def picture(label, rng, side=400):
    pixels = rng.integers(0, 160, (side, side // 2, 3))
    pixels[..., label] += 60
    return Image.fromarray(pixels.astype(np.uint8))


def labelled(n, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = [picture(label, rng, 8) for label in labels]
    names = [f"{seed}-{i}.png" for i in range(n)]
    return LabelledSet(Colours().images(images), labels, [digest_of(image) for image in images], names)


def campaign(path=None, strategy=None, test=True, rounds=2):
    parts = labelled(6, 1), labelled(9, 2), labelled(12, 3) if test else None
    learner = CollectLearner(Colours(), CLASSES, *parts, hidden=(8, 8))
    made = Campaign.create(path, learner=learner, strategy=strategy or Ask())
    made.run(Paint(), rounds=rounds)
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return campaign(tmp_path_factory.mktemp("runs") / "colours")


def test_everything_a_campaign_knows_is_in_its_report(run):
    control = campaign(strategy=Ask("random-text"))
    report = of_campaign(run, [control], command="desiderata run", ceiling=0.99)
    assert report.title == "colours"
    assert [curve.method for curve in report.curves] == ["ask", "RandomText"]
    assert report.control == "RandomText"
    assert report.curves[0].examples.tolist() == [0, 4, 10]
    assert report.curves[0].accuracy[0].tolist() == [round.metrics["test_accuracy"] for round in run.rounds]
    assert [query.id for query in report.asked] == [query.id for query in run.queries]
    assert report.asked[1].skipped == "There is no paint left."
    assert report.asked[3].shown == ["blue", "blue"]
    assert report.asked[0].images[0].shape == (288, 144, 3)
    assert report.confusion is not None
    assert report.confusion.counts_after.sum() == 12
    assert np.trace(report.confusion.counts_after) / 12 == report.curves[0].accuracy[0, -1]
    assert np.trace(report.confusion.counts_before) / 12 == report.curves[0].accuracy[0, 0]
    assert report.feature_map is not None
    assert len(report.feature_map.collected) == 10
    assert len(report.feature_map.queries) == 5
    assert report.zero_shot is not None
    assert report.test_examples == 12
    assert report.reproduce["Pictures at the start"] == "6 initial, 9 validation, 12 test"
    assert "There is no paint left." in render(report)


def test_gains_are_optional_and_report_progress(run):
    report = of_campaign(run, gains=False)
    assert all(query.realised_gain is None for query in report.asked)
    assert any("was not measured" in note for note in report.notes)
    seen = []
    of_campaign(run, progress=lambda *done: seen.append(done))
    assert seen == [(1, 2), (2, 2)]


def test_it_leaves_the_campaign_as_it_was(run):
    before, figures = run.history(), run.evaluate()
    of_campaign(run)
    assert run.history() == before
    assert run.evaluate() == figures


def test_realised_gains_are_what_learning_one_answer_brings(run):
    gains = {query.id: query.realised_gain for query in of_campaign(run).asked}
    assert gains.pop("r001-q02") is None
    exchange = next(one for one in run.exchanges() if one.query.id == "r001-q01")
    learner = run.learner_at(0)
    before = learner.evaluate()["validation_loss"]
    learner.head.set_params(warm_start=True)
    learner.head.fit(
        np.vstack([learner.features, exchange.features]),
        np.concatenate([learner.labels, exchange.labels]),
        classes=np.arange(3),
    )
    assert gains["r001-q01"] == pytest.approx(before - learner.evaluate()["validation_loss"], abs=1e-12)
    learner.head.set_params(warm_start=False)
    run.learner_at(1)
    run.learner_at(2)


def test_without_test_pictures_it_says_what_it_measures_on():
    report = of_campaign(campaign(test=False))
    assert report.zero_shot is None
    assert report.test_examples == 9
    assert any("no test pictures" in note for note in report.notes)
    assert report.validated
    assert "of validation pictures" in render(report)
    assert {query.source for query in report.asked if query.images} == {"paint"}
    assert report.confusion is not None
    assert report.confusion.counts_after.sum() == 9


def test_before_the_first_answer():
    made = campaign(rounds=0)
    made.ask()
    report = of_campaign(made)
    assert [query.images for query in report.asked] == [[], [], []]
    assert "Nothing has come back yet." in render(report)


def test_points_that_need_no_picture():
    report = of_campaign(campaign(strategy=Ask(feature=True), rounds=1))
    assert report.feature_map is not None
    assert len(report.feature_map.collected) == 0
    assert len(report.feature_map.queries) == 3
    assert all(query.realised_gain is not None for query in report.asked)
    assert "joined the training set as it is" in render(report)


class Other:
    """A learner of another kind."""

    classes = CLASSES
    embedding = "none"

    def held(self):
        return [Held("initial", "a.png", "red", "0" * 64, np.ones(3))]

    def embed(self, images):
        return np.ones((len(images), 3))

    def fit(self, examples, rng):
        pass

    def evaluate(self):
        return {"loss": 0.0}

    def state(self, exchanges, round):
        return None

    def save(self):
        return b""

    def load(self, weights, examples):
        pass


def test_other_learners_get_what_can_be_shown():
    made = Campaign.create(None, learner=Other(), strategy=Ask())
    made.run(Paint(), rounds=1)
    report = of_campaign(made)
    assert not report.curves
    assert len(report.asked) == 3
    assert any("frozen features only" in note for note in report.notes)
    assert "has not been measured yet" in render(report)
