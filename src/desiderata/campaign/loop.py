"""Fit, ask for what is lacking, hear the answer, record, repeat: the loop that both halves run through."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign import answers as gate
from desiderata.campaign import recall
from desiderata.campaign.config import Config, build
from desiderata.campaign.directory import make_run
from desiderata.campaign.images import ImageLike, UnreadableImage
from desiderata.campaign.learner import Learner
from desiderata.campaign.oracle import CannotAnswer, Oracle
from desiderata.campaign.records import Answer, Exchange, Query, Round, Strategy
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError
from desiderata.randomness import stream

UNFINISHED = -2


class Campaign:
    """A conversation between a learner, which asks, and whoever answers.

    Every step is recorded before it returns, and draws from a random stream of its own, named by the seed, the
    round and the purpose: a campaign that is killed and opened again goes on to the same bytes as one left alone.

    Make one with `create` or `open`. Given a `config`, `learner` and `strategy` are built when first needed, so
    that answering a query does not wait for an encoder to load.
    """

    def __init__(self, store: Store, config: Config, learner: Learner[Any] | None, strategy: Strategy[Any] | None):
        self.store = store
        self.config = config
        self._parts = (learner, strategy) if learner and strategy else None
        self._at: int | None = None  # the round that the learner's weights belong to, `UNFINISHED` after `fit`

    @classmethod
    def create(
        cls,
        path: str | Path | None,
        *,
        learner: Learner[Any],
        strategy: Strategy[Any],
        seed: int = 0,
        config: Config | None = None,
    ) -> "Campaign":
        """Make the directory of a new campaign in one step, fit the learner on what it holds, record round 0.

        Args:
            path: The directory, which must not exist or be empty; None keeps the campaign in memory.
            learner: What learns.
            strategy: What decides on the queries.
            seed: Seeds everything; that of `config` when one is given.
            config: Names the parts, so that `open` can build them.

        Returns:
            The campaign, ready to ask.

        Raises:
            DesiderataError: There is something at `path`, or two of the learner's pictures are the same.
        """
        config = config or Config(seed=seed)
        if path is None:
            store = Store(None)
            store.start(learner.classes, learner.embedding, learner.held())
        else:
            store = make_run(Path(path), config, learner.classes, learner.embedding, learner.held())
        campaign = cls(store, config, learner, strategy)
        campaign.settle()
        return campaign

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        learner: Learner[Any] | None = None,
        strategy: Strategy[Any] | None = None,
    ) -> "Campaign":
        """Return the campaign at `path`; pass `learner` and `strategy` if it was made from Python objects.

        Raises:
            DesiderataError: There is none, or it is damaged.
        """
        config = Config.read(Path(path))
        return cls(Store(Path(path)), config, learner, strategy)

    # What is known

    @property
    def path(self) -> Path | None:
        """The directory of the run."""
        return self.store.path

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that an answer may have."""
        return tuple(self.store.fact("classes"))

    @property
    def queries(self) -> list[Query]:
        """All queries, in the order asked."""
        return self.store.queries()

    @property
    def answers(self) -> list[Answer]:
        """All answers, in the order asked for."""
        return self.store.answers()

    @property
    def rounds(self) -> list[Round]:
        """The closed rounds; the first, number 0, is the learner before it asked anything."""
        return self.store.rounds()

    def exchanges(self) -> list[Exchange]:
        """Return every query that is open no longer with what it brought, in the order asked."""
        return recall.exchanges(self.store, self._vectors(), self.classes)

    def taken(self) -> set[str]:
        """Return the names (SHA-256 of pixels) of all pictures of the campaign; none is accepted once more."""
        return self.store.known_images()

    def history(self) -> str:
        """Return everything said and measured, as canonical JSON."""
        return self.store.history()

    # The conversation

    def ask(self) -> list[Query]:
        """Return the open queries, asking those of the next round when none is open.

        The same list again until its queries are answered or skipped. It is empty when the strategy has nothing
        more to ask, and after a round whose proposals all answered themselves (that round is then closed).
        """
        self.settle()
        number = self._closed() + 1
        if not self.store.queries(number):
            state = self.learner_at(number - 1).state(self.exchanges(), number)
            proposals = self.strategy.propose(state, self._stream(number, "ask"))
            self.store.add_queries(number, proposals)
            self.settle()
        return [query for query in self.store.queries(number) if query.status == "open"]

    def tell(
        self,
        query: Query | str,
        images: ImageLike | Sequence[ImageLike],
        labels: Sequence[str | None] | str | None = None,
        source: str = "person",
    ) -> list[Answer]:
        """Record what came back for an open query: all of it, or nothing.

        The round is closed (fitted, measured, recorded) with its last query.

        Args:
            query: The query or its id.
            images: A picture or several, new to the campaign: files, bytes of files, or pixels.
            labels: What each shows, or one label for all; None stands for the class asked for.
            source: Who answered.

        Returns:
            What was recorded.

        Raises:
            Refused: The query is not open, a label is no class, or a picture is known already.
            UnreadableImage: A file is not a picture.
        """
        found = gate.find_open(self.store, query)
        answers, pictures = gate.check(self.store, found, images, labels, source)
        self.store.add_answers(found, answers, pictures)
        self.settle()
        return answers

    def skip(self, query: Query | str, reason: str) -> None:
        """Record that an open query will not be answered, and why. It costs nothing.

        Raises:
            Refused: The query is not open, or no reason is given.
        """
        found = gate.find_open(self.store, query)
        if not reason.strip():
            raise gate.Refused(f"Query {found.id} cannot be skipped without a reason: give one in a few words.")
        self.store.skip(found, " ".join(reason.split()))
        self.settle()

    def run(self, oracle: Oracle, rounds: int, progress: Callable[[Query | Round], None] | None = None) -> None:
        """Let `oracle` answer until `rounds` rounds are closed, or the strategy has nothing more to ask.

        Rounds closed earlier count, and so do queries answered earlier: called again after a kill, it goes on
        where it stopped. What the oracle cannot answer, or answers with something that is refused, is skipped.

        Args:
            oracle: Who answers.
            rounds: How many rounds the campaign should have had at the end.
            progress: Called with each query once it is decided, and with each round once it is closed.
        """
        report = progress or (lambda _: None)
        self.settle()
        while (closed := self._closed()) < rounds:
            for query in self.ask():
                try:
                    came = oracle.answer(query, self._stream(query.round, "answer", query.id))
                    self.tell(query, [image for image, _ in came], [label for _, label in came], oracle.name)
                except (CannotAnswer, gate.Refused, UnreadableImage) as reason:
                    self.skip(query, str(reason))
                report(self.store.query(query.id) or query)
            if self._closed() == closed:
                break
            report(self.rounds[-1])

    def settle(self) -> None:
        """Close the current round if nothing of it is open: fit, measure, record. `ask` and `run` begin with it."""
        number = self._closed() + 1
        queries = self.store.queries(number)
        if any(query.status == "open" for query in queries) or (number > 0 and not queries):
            return
        learner = self._learner_at(number - 1)
        self.store.add_features(learner.embedding, recall.embed_new(self.store, learner))
        examples = recall.examples(self.store, self._vectors())
        self._at = UNFINISHED
        learner.fit(examples, self._stream(number, "fit"))
        self.store.add_round(Round(number, len(examples), learner.evaluate()), learner.save())
        self._at = number

    # The learner

    @property
    def learner(self) -> Learner[Any]:
        """What learns, where the last closed round left it unless `fit` or `learner_at` moved it since."""
        return self._learner_at(self._closed() if self._at is None else self._at)

    @property
    def strategy(self) -> Strategy[Any]:
        """What decides on the queries."""
        return self._built()[1]

    def learner_at(self, number: int) -> Learner[Any]:
        """Return the learner, put where the closed round `number` left it. Asking moves it on again.

        Raises:
            DesiderataError: That round is not closed.
        """
        if not 0 <= number <= self._closed():
            raise DesiderataError(f"Round {number} is not closed: the last closed one is {self._closed()}.")
        return self._learner_at(number)

    def fit(self) -> None:
        """Fit the learner on everything recorded, answers of an unfinished round included; records nothing."""
        number = self._closed()
        learner = self._learner_at(number)
        vectors = self._vectors() | recall.embed_new(self.store, learner)
        learner.fit(recall.examples(self.store, vectors), self._stream(number + 1, "fit"))
        self._at = UNFINISHED

    def evaluate(self) -> dict[str, float]:
        """Return the figures of the learner as it stands; records nothing."""
        return self.learner.evaluate()

    # How

    def _closed(self) -> int:
        return self.store.last_round()

    def _stream(self, *key: int | str) -> np.random.Generator:
        return stream(self.config.seed, *key)

    def _vectors(self) -> dict[str, NDArray[np.float64]]:
        return self.store.features(self.store.fact("embedding"))

    def _built(self) -> tuple[Learner[Any], Strategy[Any]]:
        if self._parts is None:
            self._parts = build(self.config, self.store)
        return self._parts

    def _learner_at(self, number: int) -> Learner[Any]:
        learner = self._built()[0]
        if number not in {self._at, UNFINISHED} and number >= 0:
            learner.load(self.store.weights(number), recall.examples(self.store, self._vectors(), number))
            self._at = number
        return learner
