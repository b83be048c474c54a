"""What to ask next: every strategy of the collect half, by name."""

from collections.abc import Callable
from typing import Any

from desiderata.campaign.records import Strategy
from desiderata.collect.state import CollectState
from desiderata.collect.strategies.controls import RandomDescription, RandomText
from desiderata.collect.strategies.genmqd import ClosedLoopGenMQD, GenMQD, GenMQDFea
from desiderata.collect.strategies.text_influence import TextInfluence
from desiderata.collect.toolbox import Toolbox
from desiderata.errors import DesiderataError, cannot_be_made

STRATEGIES: dict[str, Callable[..., Strategy[CollectState]]] = {
    strategy.name: strategy
    for strategy in (RandomText, RandomDescription, GenMQD, ClosedLoopGenMQD, GenMQDFea, TextInfluence)
}
"""All strategies by the name that the command line knows them by."""

__all__ = [
    "STRATEGIES",
    "ClosedLoopGenMQD",
    "GenMQD",
    "GenMQDFea",
    "RandomDescription",
    "RandomText",
    "TextInfluence",
    "make_strategy",
]


def make_strategy(name: str, tools: Toolbox, **parameters: Any) -> Strategy[CollectState]:
    """Make a strategy by its name.

    Args:
        name: A key of `STRATEGIES`.
        tools: The frozen models that it works with.
        **parameters: Of that strategy; see its class.

    Returns:
        The strategy.

    Raises:
        DesiderataError: There is none of that name, or it has no such parameter.
    """
    if name not in STRATEGIES:
        raise DesiderataError(f"No strategy is called {name!r}; choose from {', '.join(STRATEGIES)}.")
    try:
        return STRATEGIES[name](tools, **parameters)
    except TypeError as error:
        raise DesiderataError(cannot_be_made(f"The strategy {name}", error)) from None
