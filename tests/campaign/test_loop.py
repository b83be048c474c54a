"""Ask, tell, skip, run: what is recorded, what is refused, and that refusals change nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_parts import CLASSES, AskInTurn, Noise, RunningMean, picture, same_pixels
from PIL import Image

from desiderata.campaign.answers import Refused
from desiderata.campaign.images import UnreadableImage, digest_of
from desiderata.campaign.loop import Campaign
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Query, Round
from desiderata.errors import DesiderataError


def make(path: Path | None, **options) -> Campaign:
    return Campaign.create(path, learner=RunningMean(), strategy=AskInTurn(**options), seed=3)


def reopen(path: Path, **options) -> Campaign:
    return Campaign.open(path, learner=RunningMean(), strategy=AskInTurn(**options))


@pytest.fixture(params=["directory", "memory"])
def campaign(request: pytest.FixtureRequest, tmp_path: Path) -> Campaign:
    return make(tmp_path / "run" if request.param == "directory" else None)


def images(n: int, seed: int = 0) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    return [picture(rng) for _ in range(n)]


def test_a_new_campaign_knows_what_the_learner_is_worth_before_it_asks(campaign: Campaign):
    assert [(r.number, r.examples) for r in campaign.rounds] == [(0, 0)]
    assert set(campaign.rounds[0].metrics) == {"norm", "examples"}
    assert campaign.queries == []
    assert campaign.classes == CLASSES


@pytest.mark.parametrize("by", ["settle", "ask"])
def test_the_first_fit_may_wait(by: str, tmp_path: Path):
    waiting = Campaign.create(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn(), seed=3, settle=False)
    assert waiting.rounds == []
    getattr(waiting, by)()
    assert waiting.rounds == make(None).rounds


def test_ask_gives_the_same_list_until_it_is_answered(campaign: Campaign):
    first = campaign.ask()
    assert [q.id for q in first] == ["r001-q01", "r001-q02"]
    assert campaign.ask() == first
    campaign.tell(first[0], images(1))
    assert campaign.ask() == first[1:]
    campaign.skip(first[1], "cannot find this")
    assert [q.id for q in campaign.ask()] == ["r002-q01", "r002-q02"]


def test_tell_records_pictures_labels_weights_and_closes_the_round(campaign: Campaign):
    one, two = campaign.ask()
    a, b, c = images(3)
    told = campaign.tell(one, [a, np.asarray(b)], ["dog", None])
    assert [answer.label for answer in told] == ["dog", one.label]
    assert [answer.weight for answer in told] == [0.5, 0.5]
    assert len(campaign.rounds) == 1
    campaign.tell(two.id, [c], "ship", source="archive")
    assert [(r.number, r.examples) for r in campaign.rounds] == [(0, 0), (1, 3)]
    assert [answer.source for answer in campaign.answers] == ["person", "person", "archive"]
    assert same_pixels(campaign.store.image(told[1].image), b)
    exchanges = campaign.exchanges()
    assert [len(exchange.features) for exchange in exchanges] == [2, 1]
    assert exchanges[1].labels.tolist() == [CLASSES.index("ship")]


def test_pictures_count_as_the_query_says_or_as_who_brings_them_says(campaign: Campaign):
    one, two = campaign.ask()
    assert [answer.weight for answer in campaign.tell(one, images(2), weight=1)] == [1.0, 1.0]
    campaign.tell(two, images(1, 9), weight=0)
    assert [answer.weight for answer in campaign.answers] == [1.0, 1.0, 0.0], "it is what is recorded"


def test_one_picture_need_not_be_a_list(campaign: Campaign, tmp_path: Path):
    one, two = campaign.ask()
    a, b = images(2)
    a.save(tmp_path / "a.png")
    assert len(campaign.tell(one, str(tmp_path / "a.png"))) == 1
    assert len(campaign.tell(two, np.asarray(b))) == 1


def test_a_round_does_not_depend_on_the_order_of_the_answers(tmp_path: Path):
    told = images(2)
    histories = []
    for order in ([0, 1], [1, 0]):
        campaign = make(tmp_path / str(order))
        queries = campaign.ask()
        for i in order:
            campaign.tell(queries[i], [told[i]])
        campaign.ask()
        histories.append(campaign.history())
    assert histories[0] == histories[1]


def test_directory_and_memory_give_the_same_history(tmp_path: Path):
    histories = []
    for path in (None, tmp_path / "run"):
        campaign = make(path)
        campaign.run(Noise(), rounds=3)
        histories.append(campaign.history())
    assert histories[0] == histories[1]
    assert histories[0] != Campaign.create(None, learner=RunningMean(), strategy=AskInTurn(), seed=4).history()


def test_a_skip_costs_nothing_and_keeps_its_reason(campaign: Campaign):
    one, two = campaign.ask()
    campaign.skip(one, "  I don't\nunderstand ")
    campaign.skip(two, "not here")
    assert campaign.rounds[-1].examples == 0
    assert [(q.status, q.reason) for q in campaign.queries] == [
        ("skipped", "I don't understand"),
        ("skipped", "not here"),
    ]
    assert [exchange.features.size for exchange in campaign.exchanges()] == [0, 0]


def run_directory(campaign: Campaign) -> list[str]:
    return sorted(str(p) for p in campaign.path.rglob("*")) if campaign.path else []


REFUSALS: dict[str, Callable[[Campaign], object]] = {
    "unknown query": lambda c: c.tell("r009-q01", images(1)),
    "answered query": lambda c: c.tell("r001-q01", images(1, 9)),
    "skipped query": lambda c: c.tell("r002-q01", images(1, 9)),
    "unknown label": lambda c: c.tell("r002-q02", images(2, 9), ["cat", "giraffe"]),
    "one label missing": lambda c: c.tell("r002-q02", images(2, 9), ["cat"]),
    "no image": lambda c: c.tell("r002-q02", []),
    "told before": lambda c: c.tell("r002-q02", [*images(1, 9), *images(1)]),
    "twice at once": lambda c: c.tell("r002-q02", images(1, 9) * 2),
    "held from the start": lambda c: c.tell("r002-q02", [RunningMean().held_images[0]]),
    "the second is no image": lambda c: c.tell("r002-q02", [*images(1, 9), b"<svg/>"]),
    "a weight below 0": lambda c: c.tell("r002-q02", images(1, 9), weight=-1),
    "a weight that is no number": lambda c: c.tell("r002-q02", images(1, 9), weight=float("nan")),
    "missing file": lambda c: c.tell("r002-q02", ["gone.png"]),
    "skip what was answered": lambda c: c.skip("r001-q01", "why"),
    "skip what was skipped": lambda c: c.skip("r002-q01", "why"),
    "skip an unknown query": lambda c: c.skip("q", "why"),
    "skip without a reason": lambda c: c.skip("r002-q02", " "),
}


@pytest.mark.parametrize("wrong", REFUSALS.values(), ids=REFUSALS)
def test_refusals_are_one_sentence_and_change_nothing(wrong: Callable[[Campaign], object], campaign: Campaign):
    for query, image in zip(campaign.ask(), images(2)):
        campaign.tell(query, [image])
    campaign.skip(campaign.ask()[0], "nothing found")
    before, files = campaign.history(), run_directory(campaign)
    with pytest.raises((Refused, UnreadableImage)) as refused:
        wrong(campaign)
    message = str(refused.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert campaign.history() == before
    assert run_directory(campaign) == files


def test_run_stops_at_the_round_asked_for_and_goes_on_from_there(campaign: Campaign):
    seen: list[Query | Round] = []
    campaign.run(Noise(), rounds=2, progress=seen.append)
    assert [r.number for r in campaign.rounds] == [0, 1, 2]
    assert [type(one) for one in seen] == [Query, Query, Round] * 2
    assert all(one.status != "open" for one in seen if isinstance(one, Query))
    before = campaign.history()
    campaign.run(Noise(), rounds=2)
    assert campaign.history() == before


def test_run_skips_what_the_oracle_cannot_answer_or_answers_wrongly(campaign: Campaign):
    class Poor:
        name = "poor"

        def answer(self, query: Query, rng: np.random.Generator):
            if query.id == "r001-q01":
                raise CannotAnswer("The archive has nothing like it.")
            if query.id == "r002-q01":
                return [(images(1)[0], "giraffe")]
            if query.id == "r002-q02":
                return [(b"", None)]
            return [(images(1)[0], None)]

    campaign.run(Poor(), rounds=3)
    statuses = [(q.status, q.reason) for q in campaign.queries]
    assert statuses[0] == ("skipped", "The archive has nothing like it.")
    assert statuses[1] == ("answered", "")
    assert statuses[2][1].startswith("'giraffe' is none of the classes")
    assert statuses[3][1].endswith("give a JPEG, PNG, WebP, GIF or BMP image.")
    assert statuses[4][1].endswith("shows the same picture as the answer to r001-q02: give a new one.")


def test_a_mistake_in_the_oracle_is_raised_and_the_query_stays_open(campaign: Campaign):
    class Broken:
        name = "broken"

        def answer(self, query: Query, rng: np.random.Generator):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        campaign.run(Broken(), rounds=1)
    assert [q.status for q in campaign.queries] == ["open", "open"]


def test_features_answer_themselves(tmp_path: Path):
    campaign = make(tmp_path / "run", synthesise=True)
    assert campaign.ask() == []
    assert [r.examples for r in campaign.rounds] == [0, 2]
    campaign.run(Noise(), rounds=3)
    again = reopen(tmp_path / "run", synthesise=True)
    assert [r.examples for r in again.rounds] == [0, 2, 4, 6]
    assert {answer.image for answer in again.answers} == {""}
    for query, exchange in zip(again.queries, again.exchanges(), strict=True):
        assert query.status == "answered"
        np.testing.assert_array_equal(exchange.features, [query.proposal.feature])


def test_a_strategy_may_stop_asking(campaign: Campaign, tmp_path: Path):
    campaign = make(tmp_path / "stops", last=2)
    campaign.run(Noise(), rounds=50)
    assert [r.number for r in campaign.rounds] == [0, 1, 2]
    assert campaign.ask() == []


def test_an_opened_campaign_goes_on_as_if_it_had_stayed_open(tmp_path: Path):
    stayed = make(tmp_path / "stayed")
    stayed.run(Noise(), rounds=4)
    opened = make(tmp_path / "opened")
    for rounds in range(1, 5):
        opened = reopen(tmp_path / "opened")
        opened.ask()
        opened = reopen(tmp_path / "opened")
        opened.run(Noise(), rounds)
    assert opened.history() == stayed.history()


def test_looking_in_between_changes_nothing(tmp_path: Path):
    plain = make(None)
    plain.run(Noise(), rounds=3)
    watched = make(None)
    for rounds in range(1, 4):
        queries = watched.ask()
        oracle = Noise()
        for _ in queries:
            watched.fit()
            watched.evaluate()
            assert watched.learner_at(0).evaluate() == watched.rounds[0].metrics
            watched.run(oracle, 0)
        watched.fit()
        watched.run(oracle, rounds)
    assert watched.history() == plain.history()


def test_fit_sees_the_unfinished_round_and_learner_at_sees_the_past(campaign: Campaign):
    campaign.run(Noise(), rounds=2)
    campaign.tell(campaign.ask()[0], images(1, 5))
    collected = len(campaign.answers)
    assert campaign.evaluate() == campaign.rounds[2].metrics
    campaign.fit()
    assert campaign.evaluate()["examples"] == collected
    assert campaign.learner_at(1).evaluate() == campaign.rounds[1].metrics
    assert campaign.learner.evaluate() == campaign.rounds[1].metrics
    with pytest.raises(DesiderataError, match="Round 3 is not closed"):
        campaign.learner_at(3)


def test_the_run_directory_is_as_documented(tmp_path: Path):
    campaign = make(tmp_path / "deep" / "run")
    campaign.tell(campaign.ask()[0], images(1))
    campaign.skip(campaign.ask()[0], "no")
    name = digest_of(images(1)[0])
    files = {str(p.relative_to(tmp_path / "deep")) for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {
        "run/campaign.toml",
        "run/campaign.db",
        f"run/images/{name[:2]}/{name}.png",
        "run/rounds/000.safetensors",
        "run/rounds/001.safetensors",
    }


def test_a_copied_run_goes_on(tmp_path: Path):
    import shutil

    campaign = make(tmp_path / "run")
    campaign.run(Noise(), rounds=1)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    campaign.run(Noise(), rounds=2)
    copy = reopen(tmp_path / "copy")
    copy.run(Noise(), rounds=2)
    assert copy.history() == campaign.history()


def test_places_where_no_campaign_can_be_made(tmp_path: Path):
    make(tmp_path / "run")
    with pytest.raises(DesiderataError, match="is a campaign already"):
        make(tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(DesiderataError, match="not empty"):
        make(tmp_path / "full")
    with pytest.raises(DesiderataError, match="cannot be made"):
        make(tmp_path / "full" / "notes.txt" / "run")
    (tmp_path / "empty").mkdir()
    assert make(tmp_path / "empty").rounds


def test_two_equal_pictures_held_leave_no_directory(tmp_path: Path):
    learner = RunningMean()
    learner._held = [*learner._held, learner._held[0]]
    with pytest.raises(DesiderataError, match=r"cat\.png \(initial\) and cat\.png \(initial\) are the same picture"):
        Campaign.create(tmp_path / "run", learner=learner, strategy=AskInTurn())
    assert list(tmp_path.iterdir()) == []
