"""What a campaign has on record, as its users read it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from desiderata.campaign.records import Answer, Decision, Query, Round, Withdrawal
from desiderata.campaign.store import Store


class Known:
    """Everything said and measured in a campaign.

    Attributes:
        store: Where it is kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

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

    @property
    def withdrawals(self) -> Sequence[Withdrawal]:
        """What was told or skipped and then taken back, in the order in which it was taken back."""
        return self.store.withdrawals()

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """Who answered or skipped each query, by its id; queries decided before this was recorded are not in it."""
        return self.store.decisions()

    def taken(self) -> set[str]:
        """Return the names (SHA-256 of pixels) of all pictures of the campaign; none is accepted once more."""
        return self.store.known_images()

    def taken_back(self) -> set[str]:
        """Return the names of all pictures that were ever taken back; a person may tell them once more."""
        return {answer.image for withdrawal in self.withdrawals for answer in withdrawal.answers if answer.image}

    def history(self) -> str:
        """Return everything said and measured, as canonical JSON."""
        return self.store.history()
