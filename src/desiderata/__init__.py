"""Desiderata: which data does my model need next?"""

from typing import TYPE_CHECKING

from desiderata.errors import DesiderataError
from desiderata.lazy import lazily

if TYPE_CHECKING:
    from desiderata.campaign.branching import branch
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
    "branch",
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
    "campaign.branching": ("branch",),
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

__getattr__, __dir__ = lazily(__name__, _MODULES)
