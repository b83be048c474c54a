"""What every oracle owes a campaign. Subclass `OracleContract` and give it the three fixtures."""

from collections.abc import Callable

import numpy as np
import pytest

from desiderata.campaign.images import digest_of, read_image
from desiderata.campaign.oracle import CannotAnswer, Oracle
from desiderata.campaign.records import Proposal, Query


def ask(text: str, label: str, id: str = "r001-q01") -> Query:
    return Query(id, 1, Proposal(label, text))


class OracleContract:
    """The suite."""

    @pytest.fixture
    def make(self) -> Callable[[], Oracle]:
        """Return what makes a fresh oracle, always the same."""
        raise NotImplementedError

    @pytest.fixture
    def query(self) -> Query:
        """Return a query that the oracle can answer."""
        raise NotImplementedError

    @pytest.fixture
    def unanswerable(self) -> Query:
        """Return a query that it cannot answer."""
        raise NotImplementedError

    def test_it_has_a_name(self, make: Callable[[], Oracle]):
        assert make().name.strip()

    def test_it_brings_pictures_that_a_campaign_can_read(self, make: Callable[[], Oracle], query: Query):
        came = make().answer(query, np.random.default_rng(0))
        assert len(came) >= 1
        for image, label in came:
            assert read_image(image).mode == "RGB"
            assert label is None or label.strip()

    def test_pictures_of_one_answer_differ(self, make: Callable[[], Oracle], query: Query):
        digests = [digest_of(read_image(image)) for image, _ in make().answer(query, np.random.default_rng(0))]
        assert len(set(digests)) == len(digests)

    def test_a_fresh_oracle_with_the_same_stream_answers_the_same(self, make: Callable[[], Oracle], query: Query):
        answers = []
        for oracle in (make(), make()):
            came = oracle.answer(query, np.random.default_rng(5))
            answers.append([(digest_of(read_image(image)), label) for image, label in came])
        assert answers[0] == answers[1]

    def test_what_was_answered_before_does_not_matter(self, make: Callable[[], Oracle], query: Query):
        oracle = make()
        answers = []
        for _ in range(2):
            came = oracle.answer(query, np.random.default_rng(5))
            answers.append([(digest_of(read_image(image)), label) for image, label in came])
        assert answers[0] == answers[1]

    def test_it_says_when_it_cannot_answer(self, make: Callable[[], Oracle], unanswerable: Query):
        with pytest.raises(CannotAnswer) as refused:
            make().answer(unanswerable, np.random.default_rng(0))
        message = str(refused.value)
        assert message.endswith(".")
        assert "\n" not in message
