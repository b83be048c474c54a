"""A campaign on one's own pictures in one call."""

from pathlib import Path
from typing import Any

from desiderata.campaign.config import Config
from desiderata.campaign.loop import Campaign
from desiderata.collect.build import create
from desiderata.foundation.registry import MODELS


def new_campaign(
    path: str | Path,
    images: str | Path,
    *,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    encoder: str = "clip-vit-b32",
    strategy: str = "text-influence",
    seed: int = 0,
    skip_unreadable: bool = False,
) -> Campaign:
    """Make a campaign from folders with one sub-folder of pictures for each class.

    Args:
        path: The directory of the run, which does not exist yet. `Campaign.open` finds it again.
        images: The labelled pictures that there are.
        validation: Pictures for validation; by default a share of `images` is set aside.
        test: Pictures that only the figures look at.
        encoder: Name, directory or hub id of a CLIP model.
        strategy: Name of a strategy; see `desiderata new --help`.
        seed: Decides every draw.
        skip_unreadable: Leave damaged files out, which are an error otherwise.

    Returns:
        The campaign, ready to ask.

    Raises:
        DesiderataError: A folder or a name cannot be used. Nothing is left at `path` then.
    """
    world: dict[str, Any] = {"kind": "folder", "images": str(Path(images).resolve())}
    if skip_unreadable:
        world["skip_unreadable"] = True
    for part, folder in (("validation", validation), ("test", test)):
        if folder is not None:
            world[part] = str(Path(folder).resolve())
    # A directory is recorded as an absolute path, so that the campaign opens from anywhere.
    place = encoder if encoder in MODELS or not Path(encoder).is_dir() else str(Path(encoder).resolve())
    config = Config(seed=seed, half="collect", world=world, encoder=place, strategy={"name": strategy})
    return create(Path(path), config)[0]
