"""Desiderata: which data does my model need next?"""

import importlib
from typing import TYPE_CHECKING, Any

from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.collect.classifier import HeadClassifier
    from desiderata.collect.export import export_classifier
    from desiderata.collect.influence import predicted_gain, validation_gradient
    from desiderata.collect.lookahead import predicted_gain_proximal
    from desiderata.collect.quickstart import new_campaign
    from desiderata.collect.strategies import (
        ClosedLoopGenMQD,
        GenMQD,
        GenMQDFea,
        RandomDescription,
        RandomText,
        TextInfluence,
    )
    from desiderata.collect.synthesis import synthesise
    from desiderata.collect.trained import TrainedClassifier, load_classifier
    from desiderata.foundation.encoder import load_encoder
    from desiderata.oracles.archive import ArchiveOracle
    from desiderata.oracles.scene import SceneOracle, scene_oracle

__version__ = "0.1.0"

__all__ = [
    "ArchiveOracle",
    "Campaign",
    "ClosedLoopGenMQD",
    "DesiderataError",
    "GenMQD",
    "GenMQDFea",
    "HeadClassifier",
    "RandomDescription",
    "RandomText",
    "SceneOracle",
    "TextInfluence",
    "TrainedClassifier",
    "export_classifier",
    "load_classifier",
    "load_encoder",
    "new_campaign",
    "predicted_gain",
    "predicted_gain_proximal",
    "scene_oracle",
    "synthesise",
    "validation_gradient",
]

_MODULES = {
    "campaign.loop": ("Campaign",),
    "collect.classifier": ("HeadClassifier",),
    "collect.export": ("export_classifier",),
    "collect.influence": ("predicted_gain", "validation_gradient"),
    "collect.lookahead": ("predicted_gain_proximal",),
    "collect.quickstart": ("new_campaign",),
    "collect.strategies": (
        "ClosedLoopGenMQD",
        "GenMQD",
        "GenMQDFea",
        "RandomDescription",
        "RandomText",
        "TextInfluence",
    ),
    "collect.synthesis": ("synthesise",),
    "collect.trained": ("TrainedClassifier", "load_classifier"),
    "foundation.encoder": ("load_encoder",),
    "oracles.archive": ("ArchiveOracle",),
    "oracles.scene": ("SceneOracle", "scene_oracle"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    # A name is imported when it is first used, so that the command line answers without loading torch.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
