"""A generator that learns a subject, in one call."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from desiderata.campaign.config import Config
from desiderata.campaign.loop import Campaign
from desiderata.foundation.registry import lasting
from desiderata.foundation.sampling import FILE as SAMPLING
from desiderata.foundation.sampling import bfloat16_is_fast
from desiderata.personalize.build import create
from desiderata.personalize.measurement import PICTURES
from desiderata.personalize.models import Models
from desiderata.personalize.recipes import default_trainer
from desiderata.personalize.subject import PLACEHOLDER, Subject, as_template
from desiderata.personalize.teaching import Progress

ENCODERS = {"moji-diffusion": "moji-clip"}
"""The encoder that judges a bundled generator; others are judged by the papers'."""

SOLVER = "dpm-solver++"
"""Follows the noise in the authors' runs, in fifty steps."""

ENCODER = "clip-vit-b32"


def usual(generator: str) -> dict[str, str]:
    """Return what a campaign is judged and measured by, and may learn, where nobody says otherwise.

    Args:
        generator: Name of the base model.

    Returns:
        Its `encoder`, `anchors` and `test`.
    """
    drawn = generator in ENCODERS
    return {
        "encoder": ENCODERS.get(generator, ENCODER),
        "anchors": "moji" if drawn else "authors",
        "test": "moji" if drawn else "everyday",
    }


def new_campaign(
    path: str | Path,
    images: str | Path,
    *,
    subject: str,
    setting: str | Sequence[str],
    kind: str = "object",
    placeholder: str = PLACEHOLDER,
    generator: str | Mapping[str, Any] = "moji-diffusion",
    encoder: str | None = None,
    second_encoder: str | None = None,
    strategy: str | Mapping[str, Any] = "uncertainty-balance",
    trainer: str | Mapping[str, Any] = "dreambooth",
    anchors: str | Sequence[str] | None = None,
    test: str | Sequence[str] | None = None,
    pictures: int = PICTURES,
    class_images: str | Path | None = None,
    seed: int = 0,
    models: Models | None = None,
    memo: Path | None = None,
    progress: Progress | None = None,
    checked: Callable[[], None] | None = None,
    settle: bool = True,
) -> Campaign:
    """Teach a generator a subject from a few pictures, and make the campaign in which it learns on.

    ```python
    campaign = new_campaign("runs/toy", "photos/toy", subject="toy", setting="on a wooden table")
    campaign.run(OwnSamples(campaign), rounds=3)
    ```

    Args:
        path: The directory of the run, which does not exist yet. `Campaign.open` finds it again.
        images: A folder with pictures of the subject, which is only read.
        subject: Its class noun, "toy", or the words for a style, "watercolor painting style".
        setting: What the pictures show beside it: "on a wooden table", or for a style "a cat". Several, one for each
            picture in the order of their names, where they differ.
        kind: "object" or "style".
        placeholder: The word that the subject is called by.
        generator: Name, directory or hub id of the base model, or the table `generator` of the configuration. The
            bundled one computes in bfloat16 where that is faster, unless a `precision` is given, and others, unless
            their directory says how they are sampled, draw with DPM-Solver++ as the authors' do, unless the tables
            say otherwise. At the `precision` "bfloat16" the U-Net draws and learns in it, and weights stay float32;
            "float16" is of weights, too, and for drawing alone.
        encoder: Name, directory or hub id of the CLIP model that judges; the one that goes with the generator.
        second_encoder: Name, directory or hub id of a DINOv2 model, which measures likeness to the references besides
            (`dino_aln`); none by default.
        strategy: Name of a strategy, or the table `strategy` of the configuration.
        trainer: Name of a trainer, or a table with its name and the settings that differ from the usual ones.
        anchors: "moji", "authors", or sentences with {} or <subject> in them; those that go with the generator.
        test: "moji", "everyday", or templates; those that go with the generator.
        pictures: How many are drawn for each test prompt in each round; 0 measures nothing.
        class_images: A folder with pictures of the subject's class; by default the base model draws some.
        seed: Decides every draw.
        models: Loaded already; they must be those named.
        memo: A folder for weights and pictures by what they come from, which campaigns share.
        progress: Told what takes time.
        checked: Called when nothing wrong was found in what is asked for, before models are loaded.
        settle: Whether to learn at once; otherwise the first `settle`, `ask` or `run` does.

    Returns:
        The campaign, ready to ask.

    Raises:
        DesiderataError: A folder or a name cannot be used, and nothing is left at `path`; or learning failed, and
            opening the run goes on with it.
    """
    base: dict[str, Any] = {"name": generator} if isinstance(generator, str) else dict(generator)
    wanted = {"name": trainer} if isinstance(trainer, str) else dict(trainer)
    base["name"] = lasting(base.get("name", ""))
    drawn, unsaid = base["name"] in ENCODERS, usual(base["name"])
    if "adapter" in wanted:
        wanted["adapter"] = lasting(wanted["adapter"])
    taught = default_trainer(wanted.get("name", "dreambooth"), kind, base["name"])
    if drawn and models is None and "precision" not in base and bfloat16_is_fast(base.get("device", "auto")):
        base = {"half": True, **base}
        taught |= {"precision": "bfloat16"} if "precision" in taught else {}
    if base.get("precision") == "bfloat16" and "precision" in taught:
        taught["precision"] = "bfloat16"
    if not drawn and models is None and not (Path(base["name"]) / SAMPLING).is_file():
        base = {"solver": SOLVER, **base}
    world = {"kind": "references", "images": str(Path(images).resolve())}
    if class_images is not None:
        world["class_images"] = str(Path(class_images).resolve())
        taught.pop("class_pictures", None)
    config = Config(
        seed=seed,
        half="personalize",
        world=world,
        encoder=lasting(encoder or unsaid["encoder"]),
        generator=base,
        subject=Subject.of(subject, kind=kind, setting=setting, placeholder=placeholder).table(),
        trainer=taught | wanted,
        strategy={"name": strategy} if isinstance(strategy, str) else dict(strategy),
        prompts={
            "anchors": _plain(unsaid["anchors"] if anchors is None else anchors, kind),
            "test": _plain(unsaid["test"] if test is None else test, kind),
            "pictures": pictures,
            **({"second_encoder": lasting(second_encoder)} if second_encoder else {}),
        },
    )
    return create(Path(path), config, models=models, memo=memo, progress=progress, checked=checked, settle=settle)


def _plain(names: str | Sequence[str], kind: str) -> str | list[str]:
    if isinstance(names, str):
        return names
    return [as_template(one, kind) if isinstance(one, str) else one for one in names]
