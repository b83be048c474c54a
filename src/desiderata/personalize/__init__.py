"""Half 2: which of its own pictures should my generator learn from next?"""

from typing import TYPE_CHECKING

from desiderata.lazy import lazily

if TYPE_CHECKING:
    from desiderata.personalize.answers import OwnSamples
    from desiderata.personalize.bringing import bring
    from desiderata.personalize.build import open_run
    from desiderata.personalize.export import export_generator
    from desiderata.personalize.picking import pick, unpick
    from desiderata.personalize.quickstart import new_campaign
    from desiderata.personalize.references import TrainingImage
    from desiderata.personalize.subject import Subject
    from desiderata.personalize.trainers.custom_diffusion import CustomDiffusion
    from desiderata.personalize.trainers.dreambooth import DreamBooth
    from desiderata.personalize.trainers.ip_adapter import IPAdapter
    from desiderata.personalize.trainers.lora import DreamBoothLora
    from desiderata.personalize.trainers.recipe import Recipe, Running
    from desiderata.personalize.trainers.textual_inversion import TextualInversion

__all__ = [
    "CustomDiffusion",
    "DreamBooth",
    "DreamBoothLora",
    "IPAdapter",
    "OwnSamples",
    "Recipe",
    "Running",
    "Subject",
    "TextualInversion",
    "TrainingImage",
    "bring",
    "export_generator",
    "new_campaign",
    "open_run",
    "pick",
    "unpick",
]

_MODULES = {
    "answers": ("OwnSamples",),
    "bringing": ("bring",),
    "build": ("open_run",),
    "export": ("export_generator",),
    "picking": ("pick", "unpick"),
    "quickstart": ("new_campaign",),
    "references": ("TrainingImage",),
    "subject": ("Subject",),
    "trainers.custom_diffusion": ("CustomDiffusion",),
    "trainers.dreambooth": ("DreamBooth",),
    "trainers.ip_adapter": ("IPAdapter",),
    "trainers.lora": ("DreamBoothLora",),
    "trainers.recipe": ("Recipe", "Running"),
    "trainers.textual_inversion": ("TextualInversion",),
}

__getattr__, __dir__ = lazily(__name__, _MODULES)
