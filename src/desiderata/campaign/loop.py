"""Fit, ask for what is lacking, hear the answer, record, repeat: the loop that both halves run through."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from desiderata.campaign import answers as gate
from desiderata.campaign import holding, recall
from desiderata.campaign.config import Config
from desiderata.campaign.directory import make_run, open_store
from desiderata.campaign.images import ImageLike, UnreadableImage
from desiderata.campaign.learner import Learner
from desiderata.campaign.oracle import CannotAnswer, Oracle
from desiderata.campaign.proposals import check_proposals
from desiderata.campaign.records import Answer, Decision, Exchange, Query, Round, Strategy, Withdrawal
from desiderata.campaign.standing import UNFINISHED, Standing
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError

CLOSES = {"collect": "`desiderata ask`", "personalize": "the next `desiderata personalize ask` or `run`"}
"""What closes a round of which everything is decided, by the half."""


class RoundNotClosed(DesiderataError):
    """What was told is recorded, and what should have followed from it failed; asking again makes up for it."""


class Campaign(Standing):
    """A conversation between a learner, which asks, and whoever answers.

    Every step is recorded before it returns, and draws from a random stream of its own, named by the seed, the
    round and the purpose: a campaign that is killed and opened again goes on to the same bytes as one left alone.

    Make one with `create` or `open`. Given a `config`, `learner` and `strategy` are built when first needed, so
    that answering a query does not wait for an encoder to load.
    """

    @classmethod
    def create(
        cls,
        path: str | Path | None,
        *,
        learner: Learner[Any],
        strategy: Strategy[Any],
        seed: int = 0,
        config: Config | None = None,
        settle: bool = True,
    ) -> "Campaign":
        """Make the directory of a new campaign in one step, fit the learner on what it holds, record round 0.

        Args:
            path: The directory, which must not exist or be empty; None keeps the campaign in memory.
            learner: What learns.
            strategy: What decides on the queries.
            seed: Seeds everything; that of `config` when one is given.
            config: Names the parts, so that `open` can build them.
            settle: Whether to fit at once; otherwise the first `settle`, `ask` or `run` does.

        Returns:
            The campaign, ready to ask.

        Raises:
            DesiderataError: There is something at `path`, two of the learner's pictures are the same, or the learner
                belongs to another campaign.
        """
        config = config or Config(seed=seed)
        run = None if path is None else Path(path)
        holding.check_free(learner, run)

        def start(store: Store) -> None:
            store.start(learner.classes, learner.embedding, learner.held(), holding.probe(learner))

        if run is None:
            store = Store(None)
            start(store)
        else:
            store = make_run(run, config, start)
        campaign = cls(store, config, learner, strategy)
        campaign._checked = True
        if settle:
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
            DesiderataError: There is none, it is damaged, it was made with another encoder or other classes than
                `learner` has, or only one of `learner` and `strategy` is given.
        """
        run = Path(path)
        if (learner is None) != (strategy is None):
            raise DesiderataError("A campaign is opened with both a learner and a strategy, or neither: give both.")
        config = Config.read(run)
        campaign = cls(open_store(run), config, learner, strategy)
        if campaign._parts:
            campaign._built()  # before anything is told that could not be learnt from
        return campaign

    # The conversation

    def exchanges(self) -> list[Exchange]:
        """Return every query that is open no longer with what it brought, in the order asked."""
        said = recall.Said.of(self.store)
        return recall.exchanges(self.store, said, self._vectors_of(said), self.classes)

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
            check_proposals(self.strategy.name, proposals, self.classes, self._dim())
            self.store.add_queries(number, proposals)
            self.settle()
        return [query for query in self.store.queries(number) if query.status == "open"]

    def tell(
        self,
        query: Query | str,
        images: ImageLike | Sequence[ImageLike],
        labels: Sequence[str | None] | str | None = None,
        source: str = "person",
        *,
        weight: float | None = None,
        settings: Mapping[str, Any] | None = None,
        close: bool = True,
    ) -> list[Answer]:
        """Record what came back for an open query: all of it, or nothing.

        The round is closed (fitted, measured, recorded) with its last query, or, without `close`, by whoever asks
        next, so that until then this answer, too, can be taken back.

        Args:
            query: The query or its id.
            images: A picture or several, new to the campaign: files, bytes of files, or pixels.
            labels: What each shows, or one label for all; None stands for the class asked for.
            source: Who answered.
            weight: How much each picture counts in fitting, at least 0; what the query says by default.
            settings: What an oracle had been told besides the query, as `Oracle` has it.
            close: Whether to close the round if nothing of it is open any more.

        Returns:
            What was recorded.

        Raises:
            Refused: The query is not open, a label is no class, a picture is known already, or the weight makes no
                sense.
            UnreadableImage: A file is not a picture.
            RoundNotClosed: It is recorded, but the round that it completes could not be closed.
        """
        found = gate.find_open(self.store, query)
        answers, files = gate.check(self.store, found, images, labels, source, weight)
        decision = Decision(source, settings or {})
        self.store.add_answers(found, answers, files, gate.names_of(images), decision)
        if close:
            with self._recorded(found):
                self.settle()
        return answers

    def skip(
        self,
        query: Query | str,
        reason: str,
        source: str = "person",
        *,
        settings: Mapping[str, Any] | None = None,
        close: bool = True,
    ) -> None:
        """Record that an open query will not be answered, and why. It costs nothing.

        Args:
            query: The query or its id.
            reason: In a few words.
            source: Who skips it.
            settings: As for `tell`.
            close: As for `tell`.

        Raises:
            Refused: The query is not open, or no reason is given.
            RoundNotClosed: It is recorded, but the round that it completes could not be closed.
        """
        found = gate.find_open(self.store, query)
        if not reason.strip():
            raise gate.Refused(f"Query {found.id} cannot be skipped without a reason: give one in a few words.")
        self.store.skip(found, " ".join(reason.split()), Decision(source, settings or {}))
        if close:
            with self._recorded(found):
                self.settle()

    def undo(self, query: Query | str) -> Withdrawal:
        """Take back the answer or the skip of a query whose round is not closed yet: it is open again.

        The record keeps what was withdrawn. Its pictures are new to the campaign again, so that they may be told for
        this query or another. An oracle that is let run draws anew, and an archive brings others.

        Args:
            query: The query or its id.

        Returns:
            What was withdrawn.

        Raises:
            Refused: There is no query of that name.
            CannotUndo: The query is open, answered itself (GenMQD-Fea), or its round is closed.
        """
        return self.store.undo(gate.find(self.store, query).id)

    def run(
        self,
        oracle: Oracle,
        rounds: int,
        progress: Callable[[Query | Round], None] | None = None,
        *,
        close: bool = True,
    ) -> None:
        """Let `oracle` answer until `rounds` rounds are closed, or the strategy has nothing more to ask.

        Rounds closed earlier count, and so do queries answered earlier: called again after a kill, it goes on
        where it stopped. What the oracle cannot answer, or answers with something that is refused, is skipped. What
        somebody else answers or skips in the meantime stays as they left it; what they take back is asked again.

        Args:
            oracle: Who answers.
            rounds: How many rounds the campaign should have had at the end.
            progress: Called with each query once it is decided, and with each round once it is closed.
            close: If False, only the round that is open, or the next one, is answered, and it is left as it is when
                nothing of it is open any more, so that what came can be looked at and taken back (`undo`).
        """
        settings = getattr(oracle, "settings", {})
        report = progress or (lambda _: None)
        self.settle()
        while (closed := self._closed()) < rounds:
            asked = self.ask()
            for query in asked:
                try:
                    came = oracle.answer(query, self._stream(query.round, "answer", query.id, *self._attempt(query)))
                    images, labels = [image for image, _ in came], [label for _, label in came]
                    self.tell(query, images, labels, oracle.name, settings=settings, close=close)
                except (CannotAnswer, gate.Refused, UnreadableImage) as error:
                    reason = str(error).strip() or f"The oracle {oracle.name} gave no reason."
                    with suppress(gate.Refused):  # somebody else was quicker
                        self.skip(query, reason, oracle.name, settings=settings, close=close)
                report(self.store.query(query.id) or query)
            if not close and asked:
                break
            self.settle()  # for whoever decided the last query and was stopped before the round was closed
            if self._closed() > closed:
                report(self.rounds[-1])
            elif not asked:
                break

    def settle(self) -> None:
        """Close the current round if nothing of it is open: fit, measure, record. `ask` and `run` begin with it."""
        withdrawn = len(self.store.withdrawals())  # before the answers are read
        number = self._closed() + 1
        queries = self.store.queries(number)
        if any(query.status == "open" for query in queries) or (number > 0 and not queries):
            return
        learner = self._learner_at(number - 1)
        # Another process may close this round at the same time and go on: what is fitted is this round's alone.
        said = recall.Said.of(self.store, number)
        known = self._vectors()
        new = recall.embed(self.store, learner, recall.unembedded(said, known))
        self.store.add_features(self.store.fact("embedding"), new)
        # Those that were stored first count; an answer that has been withdrawn since has none of them.
        examples = recall.examples(self.store, said, known | new | self._vectors())
        self._at = UNFINISHED
        learner.fit(examples, self._stream(number, "fit"))
        measured = Round(number, len(examples), learner.evaluate())
        recorded = self.store.add_round(measured, learner.save(), withdrawn)
        self._at = number if recorded else None
        if recorded and (tidy := getattr(learner, "tidy", None)):
            tidy()
        if not recorded:
            self.settle()  # what was withdrawn meanwhile may have been told anew

    # Outside the conversation

    def fit(self) -> None:
        """Fit the learner on everything recorded, answers of an unfinished round included; records nothing."""
        number = self._closed()
        learner = self._learner_at(number)
        said = recall.Said.of(self.store)
        learner.fit(recall.examples(self.store, said, self._vectors_of(said)), self._stream(number + 1, "fit"))
        self._at = UNFINISHED

    def evaluate(self) -> dict[str, float]:
        """Return the figures of the learner as it stands; records nothing."""
        return self.learner.evaluate()

    def _attempt(self, query: Query) -> tuple[int, ...]:
        """Return how often a query was open again, nothing for never: each time has its own stream."""
        withdrawn = sum(one.query_id == query.id for one in self.withdrawals)
        return (withdrawn,) if withdrawn else ()

    @contextmanager
    def _recorded(self, query: Query) -> Iterator[None]:
        """Let no error of the block look as if the answer to `query` had not been recorded.

        Yields:
            Nothing.

        Raises:
            RoundNotClosed: The block raises what the caller can put right; other errors get a note.
        """
        closes = CLOSES.get(self.config.half, "`Campaign.ask`")
        try:
            yield
        except DesiderataError as error:
            reason = str(error).rstrip(".")
            raise RoundNotClosed(
                f"{query.id} is recorded, but its round could not be closed ({reason}): {closes} closes it."
            ) from error
        except Exception as error:
            error.add_note(f"{query.id} is recorded; {closes} closes its round.")
            raise
