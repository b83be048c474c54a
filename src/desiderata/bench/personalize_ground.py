"""The frozen models that all cells of a process stand on."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from desiderata.bench.personalize_task import SMALL
from desiderata.bench.personalize_variants import Settings
from desiderata.campaign.config import Config
from desiderata.foundation.judge import Judge, load_judge
from desiderata.personalize.models import Models


@dataclass(frozen=True)
class Ground:
    """Frozen models that all cells of a process share.

    Attributes:
        models: The generator and the encoder.
        judge: Measures, and picks in place of a person.
    """

    models: Models
    judge: Judge

    @classmethod
    def of(cls, settings: Settings) -> "Ground":
        """Return the models that settings name, loaded once."""
        return _ground(tuple(settings.generator.items()), settings.encoder, settings.judge)

    @property
    def small(self) -> bool:
        """Whether the generator is as small as the bundled one."""
        return self.models.generator.size <= SMALL


@cache
def _ground(generator: tuple[tuple[str, Any], ...], encoder: str, judge: str) -> Ground:
    config = Config(half="personalize", encoder=encoder, generator=dict(generator))
    seen = load_judge(judge)  # first, since it is the one that fails at once
    return Ground(Models.of(config), seen)
