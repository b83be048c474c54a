"""Every strategy holds to one contract, and each chooses by its own rule."""

from dataclasses import replace

import numpy as np
import pytest
from quick_parts import DIM, TOY

from desiderata.campaign.records import Exchange, Proposal, Query
from desiderata.errors import DesiderataError
from desiderata.personalize.anchors import MOJI_OBJECT, anchors_of
from desiderata.personalize.candidates import Candidates
from desiderata.personalize.choosing import ALL_BLANKED, ALL_LEARNT
from desiderata.personalize.controls import FOLLOWED
from desiderata.personalize.selection import Selection
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.strategies import STRATEGIES, make_strategy
from desiderata.personalize.uncertainty import appraise

CHOOSING = [name for name in STRATEGIES if not name.startswith("dreambooth")]
BY_ITSELF = [name for name in CHOOSING if not name.startswith("human")]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class Room:
    """A round of n directions whose pictures are noise, with what was drawn and noted."""

    def __init__(self, n: int = 9, *, blanked: float = 0.0, bias: float = 0.0, round: int = 1, exchanges=()) -> None:
        self.drawn: list[int] = []
        self.noted: list[Selection] = []
        self.anchors = anchors_of(TOY, MOJI_OBJECT)[:n]
        rng = np.random.default_rng(5)
        prompts, plain = unit(rng.normal(size=(n, DIM))), unit(rng.normal(size=(1, DIM)))
        features = unit(rng.normal(size=(n, 10, DIM)) + bias * prompts[:, None])
        usable = rng.random((n, 10)) >= blanked
        self.whole = Candidates(self.anchors, features * usable[..., None], usable, prompts, prompts, plain)
        self.state = PersonalizeState(
            round,
            TOY,
            self.anchors,
            unit(np.ones(DIM)),
            exchanges,
            self.candidates,
            self.note,
        )

    def candidates(self, m: int) -> Candidates:
        self.drawn.append(m)
        return replace(self.whole, features=self.whole.features[:, :m], usable=self.whole.usable[:, :m])

    def note(self, selection: Selection) -> None:
        self.noted.append(selection)

    @property
    def found(self):
        return appraise(self.whole.to_anchor(), self.whole.to_plain(), self.whole.usable, 0.005)


def propose(name: str, room: Room, seed: int = 1, **parameters) -> list[Proposal]:
    return list(make_strategy(name, **parameters).propose(room.state, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("blanked", [0.0, 0.3])
def test_the_contract(name: str, blanked: float):
    room, again = Room(blanked=blanked), Room(blanked=blanked)
    proposals = propose(name, room)
    same = propose(name, again)
    assert [(p.text, p.weight, dict(p.evidence)) for p in proposals] == [
        (p.text, p.weight, dict(p.evidence)) for p in same
    ], "the same draws, other proposals"
    assert room.noted == again.noted
    (noted,) = room.noted
    assert (noted.strategy, noted.round) == (name, 1)
    assert bool(noted.stopped) == (not proposals)
    assert all(np.isfinite(list(p.evidence.values())).all() and p.weight >= 0 for p in proposals)
    assert all(p.label == "toy" for p in proposals)
    assert len({p.text for p in proposals}) == len(proposals)
    if name in CHOOSING:
        prompts = [anchor.prompt for anchor in room.anchors]
        for proposal in proposals:
            row = int(proposal.evidence["anchor"])
            assert proposal.text == prompts[row]
            assert room.whole.usable[row, int(proposal.evidence.get("candidate", room.found.best[row]))]
            assert proposal.evidence["blanked_in_round"] == (~room.whole.usable[:, : room.drawn[0]]).sum()
        assert {d.prompt for d in noted.directions if d.asked} == {p.text for p in proposals}
        assert sorted(d.rank for d in noted.directions) == list(range(1, 10))
        assert noted.blanked == (~room.whole.usable[:, : room.drawn[0]]).sum()


@pytest.mark.parametrize("name", CHOOSING)
def test_where_no_direction_is_left_nothing_is_drawn(name: str):
    room = Room(0)
    assert propose(name, room) == []
    assert room.drawn == []
    assert room.noted[0].stopped == ALL_LEARNT


@pytest.mark.parametrize("name", CHOOSING)
def test_where_everything_is_blanked_it_says_so(name: str):
    room = Room(blanked=1.0)
    assert propose(name, room) == []
    assert room.noted[0].stopped == ALL_BLANKED, "which is no Eq. 10"
    assert room.noted[0].blanked == 9 * room.drawn[0]


@pytest.mark.parametrize("name", BY_ITSELF)
@pytest.mark.parametrize("k", [1, 4])
def test_k_directions_are_learnt_from(name: str, k: int):
    assert len(propose(name, Room(), k=k)) == k


def test_uncertainty_asks_for_the_most_undecided_directions_with_their_best_pictures():
    room = Room()
    proposals = propose("uncertainty", room)
    assert [p.evidence["anchor"] for p in proposals] == room.found.order[:3].tolist()
    assert [p.evidence["candidate"] for p in proposals] == room.found.best[room.found.order[:3]].tolist()
    assert [p.evidence["rank"] for p in proposals] == [1, 2, 3]
    assert [p.weight for p in proposals] == [1.0] * 3
    assert {p.evidence["overfitted_share"] for p in proposals} <= set((np.arange(11) / 10).tolist())


def test_balance_weighs_by_the_mean_entropy_of_all_directions():
    room = Room()
    proposals = propose("uncertainty-balance", room, rate=0.01)
    expected = 0.01 * room.found.entropies.mean()
    assert [p.weight for p in proposals] == pytest.approx([expected] * 3)
    assert room.noted[0].weight == room.noted[0].openness == pytest.approx(expected)
    assert [p.text for p in proposals] == [p.text for p in propose("uncertainty", Room())]


def test_uncertainty_stops_when_fewer_than_k_directions_are_undecided():
    room = Room(bias=50.0)  # every picture is what was asked for
    assert propose("uncertainty-balance", room) == []
    assert room.noted[0].stopped.startswith("It is undecided about no sentence whether to draw what is asked")
    sentences = len(room.found.shares)
    assert room.noted[0].stopped.endswith(
        f", draws {sentences} as asked and 0 as in the references, and a round learns from 3 (GAL, Eq. 10)."
    )
    assert room.noted[0].openness == 0
    room = Room(bias=50.0)
    assert len(propose("clip-feedback", room)) == 3, "others do not stop by themselves"


def test_random_draws_one_picture_for_each_direction_unless_it_has_to_measure_openness():
    plain, weighed = Room(), Room()
    first, second = propose("random", plain), propose("random-balance", weighed)
    assert (plain.drawn, weighed.drawn) == ([1], [10])
    assert [(p.text, p.evidence["candidate"]) for p in first] == [(p.text, 0.0) for p in second]
    assert "entropy" not in first[0].evidence
    assert plain.noted[0].openness is None
    assert [p.weight for p in first] == [1.0] * 3
    assert [p.weight for p in second] == pytest.approx([weighed.found.openness] * 3)
    assert len({tuple(p.text for p in propose("random", Room(), seed)) for seed in range(9)}) > 5


def test_clip_feedback_asks_for_the_pictures_nearest_to_their_prompts():
    room = Room(blanked=0.4)
    nearest = np.where(room.whole.usable, room.whole.to_anchor(), -1).max(1)
    proposals = propose("clip-feedback", room)
    assert [p.evidence["anchor"] for p in proposals] == np.argsort(-nearest)[:3].tolist()
    assert [p.evidence["similarity"] for p in proposals] == pytest.approx(np.sort(nearest)[::-1][:3])


def test_a_person_is_asked_about_every_direction_and_ends_it_by_picking_nothing():
    room = Room()
    proposals = propose("human", room)
    assert [p.evidence["anchor"] for p in proposals] == list(range(9))
    assert all("candidate" not in p.evidence and p.weight == 1 for p in proposals)
    weighed = propose("human-balance", Room())
    assert [p.weight for p in weighed] == pytest.approx([room.found.openness] * 9)

    def told(status: str) -> list[Exchange]:
        query = Query("r001-q01", 1, proposals[0], status)
        return [Exchange(query, np.empty((0, DIM)), np.empty(0, np.int64))]

    assert propose("human", Room(round=2, exchanges=told("answered")))
    room = Room(round=2, exchanges=told("skipped"))
    assert propose("human", room) == []
    assert room.noted[0].stopped == "No picture was picked in the round before."


def test_equal_weight_chooses_at_random_with_the_weights_of_uncertainty():
    room = Room(blanked=0.3)
    proposals = propose("random-equal-weight", room)
    assert [p.weight for p in proposals] == pytest.approx([room.found.openness] * 3)
    chosen = {
        (p.evidence["anchor"], p.evidence["candidate"])
        for s in range(30)
        for p in propose(room=Room(), seed=s, name="random-equal-weight")
    }
    assert {anchor for anchor, _ in chosen} == set(range(9))
    assert {candidate for _, candidate in chosen} == set(range(10))
    assert propose("random-equal-weight", Room(bias=50.0)) == []


def test_equal_weight_follows_a_run_that_is_named():
    followed = [[0.5, 0.25], [0.125]]
    assert [p.weight for p in propose("random-equal-weight", Room(), weights=followed)] == [0.5, 0.25]
    assert [p.weight for p in propose("random-equal-weight", Room(round=2), weights=followed)] == [0.125]
    room = Room(round=3)
    assert propose("random-equal-weight", room, weights=followed) == []
    assert room.noted[0].stopped == FOLLOWED
    assert len(propose("random-equal-weight", Room(bias=50.0), weights=followed)) == 2, "Eq. 10 is not asked"


def test_equal_steps_asks_for_nothing_but_room():
    room = Room(round=2)
    (proposal,) = propose("dreambooth-equal-steps", room)
    assert proposal.evidence == {"additions": 6}
    assert (proposal.text, proposal.weight) == ("", 0)
    np.testing.assert_array_equal(proposal.feature, room.state.centre)
    assert room.drawn == []
    (proposal,) = propose("dreambooth-equal-steps", Room(round=2), additions=[3, 4])
    assert proposal.evidence == {"additions": 4}
    assert propose("dreambooth-equal-steps", Room(round=3), additions=[3, 4]) == []
    assert propose("dreambooth-equal-steps", Room(), additions=[]) == []
    assert propose("dreambooth", Room()) == []


def test_a_lower_rate_is_asked_for_while_too_much_is_overfitted():
    room = Room()
    share = float(room.found.shares.mean())
    assert 0.2 < share < 0.9
    (proposal,) = propose("dreambooth-lower-rate", room)
    assert (proposal.text, proposal.weight, proposal.evidence["pace"]) == ("", 0, 0.5)
    assert proposal.evidence["mean_share"] == pytest.approx(share)
    slower = Query("r001-q01", 1, Proposal("toy", "", evidence={"pace": 0.7}), "answered")
    other = Query("r002-q01", 2, Proposal("toy", "a sks toy in the snow", evidence={"candidate": 1.0}), "skipped")
    said = [Exchange(query, np.empty((0, DIM)), np.empty(0, np.int64)) for query in (slower, other)]
    (proposal,) = propose("dreambooth-lower-rate", Room(round=3, exchanges=said), pace=0.7)
    assert proposal.evidence["pace"] == 0.7**2, "from where it was, in whichever round"
    nothing = Room(0)
    assert propose("dreambooth-lower-rate", nothing) == []
    assert nothing.noted[0].stopped.startswith("No sentence is left")
    assert len(room.noted[0].directions) == 9
    assert not any(one.asked for one in room.noted[0].directions)
    few = Room()
    assert propose("dreambooth-lower-rate", few, share=share) == []
    assert few.noted[0].stopped.startswith(f"{share:.0%} of the pictures drawn to judge the rate by show")
    assert propose("dreambooth-lower-rate", Room(bias=50.0)) == [], "nothing is overfitted"
    dark = Room(blanked=1.0)
    assert propose("dreambooth-lower-rate", dark) == []
    assert dark.noted[0].stopped == ALL_BLANKED
    half = Room()
    usable = half.whole.usable.copy()
    usable[found := half.found.shares.argmin()] = False  # counts nowhere, not as one that is not overfitted
    half.whole = replace(half.whole, usable=usable)
    (proposal,) = propose("dreambooth-lower-rate", half)
    assert proposal.evidence["mean_share"] == pytest.approx(np.delete(room.found.shares, found).mean())
    lost = Room(bias=-50.0)  # every picture is overfitted: Eq. 10 would take that for learnt
    assert set(lost.found.shares) == {1.0}
    assert propose("uncertainty", Room(bias=-50.0)) == []
    assert len(propose("dreambooth-lower-rate", lost)) == 1


def test_a_stop_tells_how_many_pictures_were_blanked():
    some, none = Room(blanked=0.3, bias=50.0), Room(bias=50.0)
    for room in (some, none):
        assert propose("uncertainty", room) == []
    n = int((~some.whole.usable).sum())
    assert some.noted[0].stopped.endswith(f"The safety checker blacked out {n} of 90 pictures, which count nowhere.")
    assert none.noted[0].stopped.endswith("(GAL, Eq. 10).")


def test_pictures_may_be_compared_without_the_placeholder():
    room = Room()
    room.whole = replace(room.whole, named=room.whole.named[::-1])
    with_it, without = propose("uncertainty", room), propose("uncertainty", room, placeholder=False)
    assert [p.text for p in with_it] != [p.text for p in without]
    assert [p.text for p in without] == [p.text for p in propose("uncertainty", Room())]


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("psychic", {}, "No strategy is called 'psychic'"),
        ("uncertainty", {"colour": 1}, r"strategy uncertainty has no setting 'colour': take it out\.$"),
        ("uncertainty", {"k": 0}, "k is 0"),
        ("uncertainty", {"k": True}, "k is True"),
        ("random", {"samples": 1.5}, "samples is 1.5"),
        ("uncertainty-balance", {"rate": -1}, "rate is -1"),
        ("uncertainty-balance", {"rate": float("nan")}, "rate is nan"),
        ("random-equal-weight", {"weights": [["heavy"]]}, "weights has 'heavy'"),
        ("random-equal-weight", {"weights": [[-1.0]]}, "weights has -1.0"),
        ("dreambooth-equal-steps", {"k": 0}, "k is 0"),
        ("dreambooth-equal-steps", {"additions": [0.5]}, "additions is 0.5"),
        ("dreambooth-lower-rate", {"pace": 1}, "pace is 1"),
        ("dreambooth-lower-rate", {"pace": True}, "pace is True"),
        ("dreambooth-lower-rate", {"share": 1.0}, "share is 1.0"),
        ("dreambooth-lower-rate", {"samples": 0}, "samples is 0"),
        ("dreambooth", {"k": 3}, "strategy dreambooth cannot be made"),
    ],
)
def test_strategies_that_mean_nothing(name: str, parameters: dict, says: str):
    with pytest.raises(DesiderataError, match=says):
        make_strategy(name, **parameters)
