"""Several processes on one run, each with its own `Campaign` object, and what happens when one of them is late."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from fake_parts import CLASSES, AskInTurn, Noise, RunningMean, picture
from PIL import Image

from desiderata.campaign.answers import Refused, check
from desiderata.campaign.learner import Example
from desiderata.campaign.loop import Campaign, RoundNotClosed
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError


def image(seed: int) -> Image.Image:
    return picture(np.random.default_rng([8, seed]))


def make(path: Path | None, learner: RunningMean | None = None) -> Campaign:
    return Campaign.create(path, learner=learner or RunningMean(), strategy=AskInTurn(), seed=3)


def opened(path: Path, learner: RunningMean | None = None) -> Campaign:
    return Campaign.open(path, learner=learner or RunningMean(), strategy=AskInTurn())


class Slow(RunningMean):
    """Lets something happen while it embeds or fits, and ends with weights of its own."""

    def __init__(self, when: str, meanwhile: Callable[[], None]):
        super().__init__()
        self.when, self.meanwhile = when, meanwhile

    def _pause(self, when: str) -> None:
        if when == self.when:
            self.when = ""
            self.meanwhile()

    def embed(self, images: Sequence[Image.Image]):
        if len(images) > 1:  # not the one picture by which encoders are told apart
            self._pause("embed")
        return super().embed(images)

    def fit(self, examples: Sequence[Example], rng: np.random.Generator) -> None:
        super().fit(examples, rng)
        self._pause("fit")
        self.weights = self.weights + (1.0 if len(examples) else 0.0)


@pytest.mark.parametrize("when", ["embed", "fit"])
def test_a_slower_process_leaves_a_closed_round_alone(when: str, tmp_path: Path):
    alone = make(tmp_path / "alone")
    quick = make(tmp_path / "run")

    def go_on(campaign: Campaign) -> None:
        campaign.ask()
        campaign.tell("r002-q01", [image(2)])

    slow = opened(tmp_path / "run", Slow(when, lambda: go_on(quick)))
    for campaign in (alone, slow):
        campaign.ask()
        campaign.tell("r001-q01", [image(0)])
        campaign.tell("r001-q02", [image(1)])
    go_on(alone)
    for campaign in (quick, slow):
        assert campaign.history() == alone.history()
        assert campaign.store.weights(1) == alone.store.weights(1)
        assert campaign.evaluate() == alone.rounds[1].metrics
    for campaign in (quick, alone):
        campaign.tell("r002-q02", [image(3)])
    assert quick.history() == alone.history()


def test_half_a_round_can_be_looked_at(tmp_path: Path):
    campaign = make(tmp_path / "run")
    campaign.run(Noise(), 1)
    campaign.tell(campaign.ask()[0], [image(0), image(1)])
    for looking in (campaign, opened(tmp_path / "run")):
        exchange = looking.exchanges()[-1]
        assert exchange.query.id == "r002-q01"
        np.testing.assert_array_equal(exchange.features, RunningMean().embed([image(0), image(1)]))
    assert len(Campaign.open(tmp_path / "run").rounds) == 2, "to look at what is recorded takes no learner"


class Interrupted:
    """An oracle during whose search something else happens."""

    name = "interrupted"

    def __init__(self, meanwhile: Callable[[Query], None], error: Exception | None = None):
        self.meanwhile, self.error = meanwhile, error

    def answer(self, query: Query, rng: np.random.Generator):
        self.meanwhile(query)
        if self.error:
            raise self.error
        return [(picture(rng), None)]


@pytest.mark.parametrize("error", [None, CannotAnswer("Nothing like it.")])
def test_what_a_person_answers_meanwhile_stays(error: Exception | None, tmp_path: Path):
    campaign, person = make(tmp_path / "run"), opened(tmp_path / "run")

    def answer(query: Query) -> None:
        if query.id == "r001-q02":
            person.tell(query, [image(1)])

    campaign.run(Interrupted(answer, error), 1)
    one, two = campaign.queries
    assert (two.status, two.reason) == ("answered", "")
    assert one.status == ("skipped" if error else "answered")
    assert [answer.source for answer in campaign.answers if answer.query_id == two.id] == ["person"]
    assert campaign.rounds[-1].number == 1


def test_a_round_is_closed_for_whoever_was_stopped_before_closing_it(tmp_path: Path):
    campaign, person = make(tmp_path / "run"), opened(tmp_path / "run")

    def answer(query: Query) -> None:
        if query.id == "r001-q02":
            person.store.add_answers(query, *check(person.store, query, image(1), None, "person"))

    campaign.run(Interrupted(answer), 2)
    assert [one.number for one in campaign.rounds] == [0, 1, 2]


def test_one_picture_for_two_queries_at_once_is_refused_the_second_time(tmp_path: Path):
    campaign = make(tmp_path / "run")
    one, two = campaign.ask()
    first, second = (check(campaign.store, query, image(0), None, "person") for query in (one, two))
    campaign.store.add_answers(one, *first)
    with pytest.raises(Refused, match=r"just been answered with a picture that came for r001-q02: give a new one\.$"):
        campaign.store.add_answers(two, *second)
    assert [query.status for query in campaign.queries] == ["answered", "open"]


def test_the_gate_keeps_files_and_not_pixels(tmp_path: Path):
    campaign = make(tmp_path / "run")
    _, files = check(campaign.store, campaign.ask()[0], [image(0), image(1)], None, "person")
    assert [file[:4] for file in files] == [b"\x89PNG"] * 2


def test_few_pictures_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("desiderata.campaign.recall.BATCH", 2)
    sizes = []

    class Counting(RunningMean):
        def embed(self, images: Sequence[Image.Image]):
            sizes.append(len(images))
            return super().embed(images)

    campaigns = make(None, Counting()), make(None)
    sizes.clear()
    for campaign in campaigns:
        campaign.ask()
        campaign.tell("r001-q01", [image(i) for i in range(5)])
        campaign.skip("r001-q02", "no")
    assert sizes == [2, 2, 1]
    assert campaigns[0].history() == campaigns[1].history()


def gone(campaign: Campaign) -> None:
    next((campaign.path or Path()).rglob("images/*/*.png")).unlink()


def unfit(campaign: Campaign) -> None:
    def fail(*_: object) -> None:
        raise DesiderataError("The moon is too bright.")

    campaign.learner.fit = fail  # pyright: ignore[reportAttributeAccessIssue]


DECIDE: dict[str, Callable[[Campaign], object]] = {
    "answered": lambda campaign: campaign.tell("r001-q02", [image(1)]),
    "skipped": lambda campaign: campaign.skip("r001-q02", "no"),
    "answered by an oracle": lambda campaign: campaign.run(Interrupted(lambda _: None), 1),
}


@pytest.mark.parametrize(("harm", "says"), [(gone, "does not exist"), (unfit, "The moon is too bright")])
@pytest.mark.parametrize("how", DECIDE)
def test_what_is_recorded_is_not_said_to_have_failed(how: str, harm: Callable, says: str, tmp_path: Path):
    campaign = make(tmp_path / "run")
    campaign.ask()
    campaign.tell("r001-q01", [image(0)])
    harm(campaign)
    with pytest.raises(RoundNotClosed, match=rf"^r001-q02 is recorded, but .*{says}.*: `Campaign.ask` closes it"):
        DECIDE[how](campaign)
    assert [query.status for query in campaign.queries] == ["answered", how.split()[0]]
    assert len(campaign.rounds) == 1


def test_an_unexpected_error_says_too_that_the_answer_is_recorded(tmp_path: Path):
    class Broken(RunningMean):
        def fit(self, examples: Sequence[Example], rng: np.random.Generator) -> None:
            if examples:
                raise ZeroDivisionError
            super().fit(examples, rng)

    campaign = make(None, Broken())
    campaign.ask()
    campaign.skip("r001-q01", "no")
    with pytest.raises(ZeroDivisionError) as failed:
        campaign.tell("r001-q02", [image(0)])
    assert failed.value.__notes__ == ["r001-q02 is recorded; `Campaign.ask` closes its round."]


class Turned(RunningMean):
    """Embeds otherwise, under the same name."""

    def embed(self, images: Sequence[Image.Image]):
        return super().embed(images)[:, ::-1]


class Renamed(RunningMean):
    """The same encoder at another place, on a machine that rounds otherwise."""

    embedding = "/elsewhere/histogram"

    def embed(self, images: Sequence[Image.Image]):
        return super().embed(images) + 1e-7


class Fewer(RunningMean):
    classes = CLASSES[:2]


@pytest.mark.parametrize(
    ("learner", "says"),
    [(Turned, "was made with another encoder: histogram does not"), (Fewer, "this learner has cat, dog")],
)
def test_another_encoder_is_refused_before_anything_is_told(learner: type[RunningMean], says: str, tmp_path: Path):
    make(tmp_path / "run").ask()
    with pytest.raises(DesiderataError, match=says) as refused:
        opened(tmp_path / "run", learner())
    assert str(refused.value).endswith(".")


def test_an_encoder_that_was_moved_is_known_again(tmp_path: Path):
    make(tmp_path / "run").run(Noise(), 1)
    moved = opened(tmp_path / "run", Renamed())
    moved.run(Noise(), 2)
    assert moved.rounds[-1].number == 2


def test_a_run_of_an_earlier_version_has_no_probe_and_goes_on(tmp_path: Path):
    whole = make(tmp_path / "whole")
    whole.run(Noise(), 2)
    campaign = make(tmp_path / "run")
    campaign.run(Noise(), 1)
    with campaign.store.writing() as connection:
        connection.exec_driver_sql("DELETE FROM facts WHERE name = 'probe'")
    again = opened(tmp_path / "run")
    assert again.store.probe() is None
    again.run(Noise(), 2)
    assert again.history() == whole.history()


def test_a_learner_serves_one_campaign(tmp_path: Path):
    learner = RunningMean()
    first = make(None, learner)
    make(tmp_path / "other")
    with pytest.raises(DesiderataError, match=r"belongs to the campaign in memory already: make one for each camp"):
        make(tmp_path / "run", learner)
    with pytest.raises(DesiderataError, match="make one for each campaign"):
        opened(tmp_path / "other", learner)
    assert not (tmp_path / "run").exists()
    assert first.evaluate() == first.rounds[0].metrics
    del first
    assert make(tmp_path / "run", learner).rounds


def test_objects_of_one_run_may_share_a_learner(tmp_path: Path):
    whole = make(tmp_path / "whole")
    whole.run(Noise(), 4)
    learner = RunningMean()
    first = make(tmp_path / "run", learner)
    first.run(Noise(), 1)
    second = opened(tmp_path / "run", learner)
    second.run(Noise(), 2)
    first.run(Noise(), 3)
    second.fit()
    first.fit()
    assert second.evaluate() == second.rounds[-1].metrics, "what another object did to the learner is undone"
    second.run(Noise(), 4)
    assert first.history() == whole.history()
