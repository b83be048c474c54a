"""Taking back what was told: what it changes, what it keeps, when it is too late, and who else may be at work."""

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fake_parts import CLASSES, AskInTurn, Noise, RunningMean, picture
from PIL import Image
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from desiderata.campaign.answers import Refused
from desiderata.campaign.images import digest_of
from desiderata.campaign.learner import Example
from desiderata.campaign.loop import Campaign, RoundNotClosed
from desiderata.campaign.recorded import StoreError
from desiderata.campaign.records import Decision, Proposal, Query, Withdrawal
from desiderata.campaign.withdrawals import CannotUndo


def image(seed: int) -> Image.Image:
    return picture(np.random.default_rng([9, seed]))


def make(path: Path | None, learner: RunningMean | None = None, **options) -> Campaign:
    return Campaign.create(path, learner=learner or RunningMean(), strategy=AskInTurn(**options), seed=3)


def opened(path: Path, learner: RunningMean | None = None) -> Campaign:
    return Campaign.open(path, learner=learner or RunningMean(), strategy=AskInTurn())


@pytest.fixture(params=["directory", "memory"])
def campaign(request: pytest.FixtureRequest, tmp_path: Path) -> Campaign:
    return make(tmp_path / "run" if request.param == "directory" else None)


def without_withdrawals(history: str) -> dict:
    return {name: value for name, value in json.loads(history).items() if name != "withdrawals"}


def test_an_answer_is_taken_back_and_the_query_is_open_again(campaign: Campaign):
    one, two = campaign.ask()
    told = campaign.tell(one, [image(0), image(1)], ["dog", None])
    assert campaign.undo(one) == Withdrawal(one.id, "answered", "", tuple(told))
    assert campaign.ask() == [one, two]
    assert campaign.answers == []
    assert campaign.withdrawals == (Withdrawal(one.id, "answered", "", tuple(told)),)
    assert not {digest_of(image(0)), digest_of(image(1))} & campaign.taken()
    said = json.loads(campaign.history())["withdrawals"]
    assert [(one["query_id"], one["status"], len(one["answers"])) for one in said] == [("r001-q01", "answered", 2)]
    assert said[0]["answers"][0] == {
        "query_id": one.id,
        "image": digest_of(image(0)),
        "label": "dog",
        "weight": 0.5,
        "source": "person",
    }


def test_a_skip_is_taken_back_with_its_reason(campaign: Campaign):
    one = campaign.ask()[0]
    campaign.skip(one, "not here")
    assert campaign.undo(one.id) == Withdrawal(one.id, "skipped", "not here")
    assert campaign.ask()[0] == one


@pytest.mark.parametrize("last", ["answered", "skipped"])
def test_a_round_that_is_left_for_the_next_ask_to_close_can_be_mended_to_its_end(last: str, tmp_path: Path):
    whole, campaign = make(tmp_path / "whole"), make(tmp_path / "run")
    for one in (whole, campaign):
        for query, seed in zip(one.ask(), (0, 1)):
            one.tell(query, image(seed), close=one is whole)
    assert [one.rounds[-1].number for one in (whole, campaign)] == [1, 0]
    assert campaign.undo("r001-q02").status == "answered"
    if last == "skipped":
        campaign.skip("r001-q02", "no", close=False)
        assert campaign.undo("r001-q02").status == "skipped"
    opened(tmp_path / "run").tell("r001-q02", image(1), close=False)
    for one in (whole, campaign):
        assert [query.id for query in one.ask()] == ["r002-q01", "r002-q02"]
    assert without_withdrawals(campaign.history()) == json.loads(whole.history())
    assert campaign.store.weights(1) == whole.store.weights(1)
    with pytest.raises(CannotUndo, match="because its round 1 is closed"):
        campaign.undo("r001-q02")


def test_a_mended_campaign_learns_what_one_that_was_right_at_once_learns(tmp_path: Path):
    right, mended = make(tmp_path / "right"), make(tmp_path / "mended")
    for one in (right, mended):
        one.ask()
    mended.tell("r001-q01", image(1))  # meant for the other query
    mended.undo("r001-q01")
    mended.skip("r001-q01", "no")
    mended.undo("r001-q01")
    for one in (right, mended):
        one.tell("r001-q01", image(0))
        one.tell("r001-q02", image(1))
        one.run(Noise(), 3)
    assert [one.status for one in mended.withdrawals] == ["answered", "skipped"]
    assert without_withdrawals(mended.history()) == json.loads(right.history())
    assert [mended.store.weights(n) for n in range(4)] == [right.store.weights(n) for n in range(4)]
    assert opened(tmp_path / "mended").withdrawals == mended.withdrawals


class AskAndKnow(AskInTurn):
    """Asks one thing and answers another by itself."""

    def propose(self, state, rng: np.random.Generator) -> Sequence[Proposal]:
        return [Proposal(CLASSES[0], "a photo of a cat"), Proposal(CLASSES[1], "", rng.normal(size=8))]


def test_what_cannot_be_taken_back_is_said_in_one_sentence(campaign: Campaign, tmp_path: Path):
    for query in campaign.ask():
        campaign.skip(query, "no")
    campaign.tell(campaign.ask()[0], image(0))
    mixed = Campaign.create(tmp_path / "mixed", learner=RunningMean(), strategy=AskAndKnow())
    mixed.ask()
    before = campaign.history(), mixed.history()
    for asked, query, error, says in (
        (campaign, "r001-q01", CannotUndo, r"r001-q01 cannot be undone any more, because its round 1 is closed"),
        (campaign, "r002-q02", CannotUndo, r"r002-q02 is open, so that there is nothing to undo"),
        (campaign, "r009-q01", Refused, r"no query r009-q01 in this campaign: the open ones are r002-q02"),
        (mixed, "r001-q02", CannotUndo, r"r001-q02 was answered by its own point, which nobody told"),
    ):
        with pytest.raises(error, match=says) as refused:
            asked.undo(query)
        assert str(refused.value).endswith(".")
        assert "\n" not in str(refused.value)
    assert (campaign.history(), mixed.history()) == before


def test_whoever_tells_a_decided_query_hears_of_undo_while_it_is_possible(campaign: Campaign):
    one, two = campaign.ask()
    campaign.tell(one, image(0))
    with pytest.raises(Refused, match=r"answered already: ask for the open ones, or undo it first\.$"):
        campaign.tell(one, image(1))
    campaign.skip(two, "no")
    mend = "ask for the open ones" + ", or make a branch after round 0, which asks that round anew" * bool(
        campaign.path
    )
    with pytest.raises(Refused, match=rf"answered already: {mend}\.$"):
        campaign.tell(one, image(1))
    with pytest.raises(Refused, match=rf"was skipped \(no\): {mend}\.$"):
        campaign.tell(two, image(1))


def test_a_round_that_could_not_be_closed_can_be_mended(tmp_path: Path):
    campaign = make(tmp_path / "run")
    one, two = campaign.ask()
    told = campaign.tell(one, image(0))
    Path(str(campaign.store.image(told[0].image))).unlink()
    with pytest.raises(RoundNotClosed):
        campaign.tell(two, image(1))
    campaign.undo(one)
    campaign.tell(one, image(0))
    assert campaign.rounds[-1].examples == 2


def of_before(path: Path) -> bytes:
    """Make the database of a run one of before `undo` and decisions were recorded, and return it."""
    with closing(sqlite3.connect(path / "campaign.db")) as connection:
        connection.execute("DROP TABLE withdrawals")
        connection.execute("DROP TABLE decisions")
    return (path / "campaign.db").read_bytes()


def test_a_database_of_before_is_read_as_it_is_and_changed_by_the_first_undo(tmp_path: Path):
    campaign = make(tmp_path / "run")
    campaign.run(Noise(), 1)
    one = campaign.ask()[0]
    campaign.tell(one, image(0))
    history = campaign.history()
    campaign.store.close()
    known = of_before(tmp_path / "run")
    again = opened(tmp_path / "run")
    assert again.history() == history
    assert again.withdrawals == ()
    with pytest.raises(CannotUndo):
        again.undo("r001-q01")
    assert (tmp_path / "run" / "campaign.db").read_bytes() == known
    again.undo(one)
    assert [one.query_id for one in opened(tmp_path / "run").withdrawals] == [one.id]
    again.run(Noise(), 3)
    assert [r.number for r in again.rounds] == [0, 1, 2, 3]


def test_a_database_of_before_goes_on_without_an_undo(tmp_path: Path):
    whole = make(tmp_path / "whole")
    whole.run(Noise(), 2)
    campaign = make(tmp_path / "run")
    campaign.store.close()
    of_before(tmp_path / "run")
    again = opened(tmp_path / "run")
    again.run(Noise(), 2)
    assert again.history() == whole.history()


@pytest.mark.parametrize(("age", "writes"), [("new", 5), ("of before", 5)])
def test_a_failing_disk_leaves_the_answer_or_takes_it_back_whole(age: str, writes: int, tmp_path: Path):
    campaign = make(tmp_path / "run")
    one = campaign.ask()[0]
    campaign.tell(one, image(0))
    if age == "of before":
        of_before(tmp_path / "run")
    history = campaign.history()
    left = 0

    def full(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OperationalError("", {}, Exception("database or disk is full"))

    def before(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.split()[0] in {"INSERT", "UPDATE", "DELETE", "CREATE"}:
            full()

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "commit", full)
    try:
        for number in range(1, writes + 1):
            left = number
            with pytest.raises(StoreError, match="nothing of this step was recorded"):
                campaign.undo(one)
            left = 0
            assert campaign.history() == history
        left = writes + 1
        campaign.undo(one)
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "commit", full)
    assert len(opened(tmp_path / "run").withdrawals) == 1


def test_two_processes_take_one_answer_back_once(tmp_path: Path):
    campaign = make(tmp_path / "run")
    campaign.tell(campaign.ask()[0], image(0))
    outcomes: list[str] = []

    def undo() -> None:
        other = Campaign.open(tmp_path / "run")
        try:
            other.undo("r001-q01")
            outcomes.append("undone")
        except CannotUndo:
            outcomes.append("too late")

    threads = [threading.Thread(target=undo) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["too late"] * 3 + ["undone"]
    assert len(campaign.withdrawals) == 1


class Slow(RunningMean):
    """Lets something happen while it embeds or fits, once."""

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
        if examples:
            self._pause("fit")


@pytest.mark.parametrize("when", ["embed", "fit"])
@pytest.mark.parametrize("again", [True, False])
def test_what_is_taken_back_while_the_round_is_being_closed_is_not_learnt(when: str, again: bool, tmp_path: Path):
    right, quick = make(tmp_path / "right"), make(tmp_path / "run")

    def mend() -> None:
        quick.undo("r001-q01")
        if again:
            quick.store.add_answers(*answered(quick, "r001-q01", image(2)))

    slow = opened(tmp_path / "run", Slow(when, mend))
    for campaign in (right, slow):
        campaign.ask()
        campaign.tell("r001-q01", image(2) if campaign is right else image(0))
        if campaign is slow or again:
            campaign.tell("r001-q02", image(1))
    if again:
        assert slow.rounds[-1].number == 1
        assert without_withdrawals(slow.history()) == json.loads(right.history())
        assert slow.store.weights(1) == right.store.weights(1)
        assert slow.evaluate() == slow.rounds[1].metrics
    else:
        assert slow.rounds[-1].number == 0, "the round is open again"
        assert [query.id for query in slow.ask()] == ["r001-q01"]
        slow.tell("r001-q01", image(2))
        right.tell("r001-q02", image(1))
        assert without_withdrawals(slow.history()) == json.loads(right.history())


def answered(campaign: Campaign, query_id: str, came: Image.Image):
    from desiderata.campaign.answers import check

    query = campaign.store.query(query_id)
    assert query is not None
    return query, *check(campaign.store, query, came, None, "person")


def test_what_is_taken_back_during_a_run_is_asked_again(tmp_path: Path):
    campaign, person = make(tmp_path / "run"), opened(tmp_path / "run")
    asked: list[str] = []

    class Oracle:
        name = "watched"

        def answer(self, query: Query, rng: np.random.Generator):
            asked.append(query.id)
            if asked == ["r001-q01", "r001-q02"]:
                person.undo("r001-q01")
            return [(picture(rng), None)]

    campaign.run(Oracle(), 2)
    assert asked == ["r001-q01", "r001-q02", "r001-q01", "r002-q01", "r002-q02"]
    assert [r.number for r in campaign.rounds] == [0, 1, 2]


def test_an_oracle_draws_anew_what_was_taken_back(campaign: Campaign):
    class Drawing:
        name = "drawing"

        def answer(self, query: Query, rng: np.random.Generator):
            return [(picture(rng), None)]

    campaign.run(Drawing(), 1, close=False)
    first = {one.query_id: one.image for one in campaign.answers}
    campaign.undo("r001-q01")
    campaign.run(Drawing(), 1, close=False)
    second = {one.query_id: one.image for one in campaign.answers}
    assert second["r001-q01"] != first["r001-q01"]
    assert second["r001-q02"] == first["r001-q02"]
    assert campaign.taken_back() == {first["r001-q01"]}
    assert len(campaign.rounds) == 1, "nothing was learnt"
    campaign.run(Drawing(), 1)
    assert [one.number for one in campaign.rounds] == [0, 1]


def test_who_decided_is_forgotten_with_what_was_taken_back(campaign: Campaign):
    one, two = campaign.ask()
    campaign.tell(one, image(0), source="archive", settings={"archive": "photos", "check_class": False})
    campaign.skip(two, "there is none", close=False)
    expected = Decision("archive", {"archive": "photos", "check_class": False})
    assert campaign.decisions == {one.id: expected, two.id: Decision("person")}
    campaign.undo(one)
    assert campaign.decisions == {two.id: Decision("person")}
    campaign.tell(one, image(0), close=False)
    assert campaign.decisions[one.id] == Decision("person")


def test_looking_at_half_a_round_while_something_is_taken_back(tmp_path: Path):
    campaign, person = make(tmp_path / "run"), opened(tmp_path / "run")
    campaign.tell(campaign.ask()[0], [image(0), image(1)])

    def take_back() -> None:
        person.undo("r001-q01")

    slow = opened(tmp_path / "run", Slow("embed", take_back))
    assert len(slow.exchanges()[0].features) == 2, "as it was when it was read"
    assert slow.exchanges() == []
