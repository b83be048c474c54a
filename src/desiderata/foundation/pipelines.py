"""Stable Diffusion pipelines, loaded whole or not at all."""

import copy
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from transformers import CLIPImageProcessorPil, CLIPTextModel, CLIPVisionModelWithProjection, PreTrainedModel
from transformers.utils import logging as transformers_logging

from desiderata.errors import DesiderataError
from desiderata.files import as_umask_says, stage_folder
from desiderata.foundation.hub import lacks_safetensors
from desiderata.foundation.registry import INDEX, load_pretrained, locate
from desiderata.foundation.weights import load_model, load_tokenizer

if TYPE_CHECKING:
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

KIND = "StableDiffusionPipeline"
"""What a pipeline's index calls it."""

NEEDED = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
"""The parts that every pipeline has, each a folder."""

CLASSES = {"unet": ("UNet2DConditionModel",), "vae": ("AutoencoderKL", "AutoencoderTiny")}
"""Of which classes these parts may be."""

HALF = "fp16"
"""What the files of a pipeline that was saved in half precision have in their names."""


class NotAPipeline(DesiderataError):
    """A directory holds something else than a Stable Diffusion pipeline, or not all of one.

    Args:
        folder: The directory.
        why: What is wrong with it.
    """

    def __init__(self, folder: Path, why: str):
        super().__init__(
            f"{folder} is no whole Stable Diffusion 1.x or 2.x pipeline ({why}): give a directory that "
            f"{KIND}.save_pretrained wrote, with weights as safetensors, or the hub id of one."
        )


def load_pipeline(name: str) -> tuple["StableDiffusionPipeline", Path]:
    """Load a pipeline, every weight of it.

    A pipeline's own `from_pretrained` draws weights that it does not find at random, and only logs it; so its models
    are loaded one by one, and what is missing is counted.

    Args:
        name: As for `registry.locate`.

    Returns:
        The pipeline in float32 on the processor, and the directory that it came from.

    Raises:
        DesiderataError: It cannot be found, reached or read, is another kind of pipeline, weights of it are missing,
            or the packages of the extra `personalize` are not installed.
    """
    diffusers = _diffusers()
    with quiet():
        folder = _folder(name, diffusers)
        listed = _listed(folder)
        scheduler = getattr(diffusers, listed["scheduler"])
        parts = {
            "unet": _load_weights(diffusers.UNet2DConditionModel, folder, "unet"),
            "vae": _load_weights(getattr(diffusers, listed["vae"]), folder, "vae"),
            "text_encoder": _load_whole(CLIPTextModel, folder, "text_encoder"),
            "tokenizer": load_tokenizer(_part(folder, "tokenizer")),
            "scheduler": load_pretrained(scheduler.from_pretrained, _part(folder, "scheduler")),
            **_extras(folder, listed),
        }
        _check_fit(folder, parts)
        checked = parts["safety_checker"] is not None
        return diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=checked), folder


@contextmanager
def quiet() -> Iterator[None]:
    """Keep reports, warnings and progress bars of the libraries off the terminal; what matters in them is raised."""
    from diffusers.utils import logging as diffusers_logging

    loggings = (transformers_logging, diffusers_logging)
    before = [(one, one.get_verbosity(), one.is_progress_bar_enabled()) for one in loggings]
    for one in loggings:
        one.set_verbosity(logging.CRITICAL)
        one.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, verbosity, bars in before:
            one.set_verbosity(verbosity)
            if bars:
                one.enable_progress_bar()


def save_pipeline(pipeline: "StableDiffusionPipeline", folder: Path, add: Callable[[Path], object]) -> None:
    """Write a pipeline's directory in one step, so that plain `diffusers` loads it, told a precision or not.

    Args:
        pipeline: What is written, weights as safetensors: those of the U-Net and the autoencoder, which take the most
            room, in the precision that they have, and all others in float32.
        folder: Where; there must be nothing yet, or an empty folder.
        add: Writes what else belongs into the folder that it is given.

    Raises:
        DesiderataError: There is something, or it cannot be written.
    """
    try:
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise DesiderataError(f"{folder} is there already and not empty: choose another name.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        stage = stage_folder(folder, folder.parent)
        try:
            with quiet():
                _for_everybody(pipeline).save_pretrained(stage, safe_serialization=True)
            _name_as_everybody_does(stage / INDEX)
            add(stage)
            for config in stage.rglob("config.json"):
                said = json.loads(config.read_text("utf-8"))
                said.pop("_name_or_path", None)  # a place on this machine
                if said.get("_class_name") == "AutoencoderTiny":
                    said.pop("block_out_channels", None)  # which it writes, and does not know when it is loaded
                config.write_text(json.dumps(said, indent=2) + "\n", "utf-8")
            as_umask_says(stage)
            stage.replace(folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise DesiderataError(f"{folder} cannot be written ({error.strerror}): choose another place.") from None


def _for_everybody(pipeline: "StableDiffusionPipeline") -> "StableDiffusionPipeline":
    """Return a pipeline of the same parts, those of transformers in float32.

    Told no precision, diffusers loads its models in float32, and transformers as they are stored: a U-Net cannot read
    what a text encoder of another precision says.
    """
    made = copy.copy(pipeline)
    coarse = {
        name: part
        for name, part in pipeline.components.items()
        if isinstance(part, PreTrainedModel) and part.dtype != torch.float32
    }
    made.register_modules(**{name: copy.deepcopy(part).float().cpu() for name, part in coarse.items()})
    return made


def _name_as_everybody_does(index: Path) -> None:
    """Call the image processor by the name that every version of transformers knows, and not the newest alone."""
    index.write_text(index.read_text("utf-8").replace('"CLIPImageProcessorPil"', '"CLIPImageProcessor"'), "utf-8")


def _diffusers() -> ModuleType:
    try:
        import diffusers
    except ImportError as error:
        raise DesiderataError(
            f"Generators need packages that are not installed ({error.name or error}): install them with "
            "pip install 'desiderata[personalize]'."
        ) from None
    return diffusers


def _folder(name: str, diffusers: ModuleType) -> Path:
    source = locate(name, "generator")
    if Path(source).is_dir():
        return Path(source)
    download = partial(diffusers.StableDiffusionPipeline.download, use_safetensors=True)
    try:
        return Path(load_pretrained(download, name))
    except DesiderataError as error:
        if not _lacks_safetensors(error):
            raise
        in_full = error
    try:
        return Path(load_pretrained(partial(download, variant=HALF), name))
    except DesiderataError as error:
        if _lacks_safetensors(error):
            raise in_full from error
        raise


def _lacks_safetensors(error: DesiderataError) -> bool:
    return isinstance(error.__cause__, Exception) and lacks_safetensors(error.__cause__)


def _listed(folder: Path) -> dict[str, str]:
    """Return the classes of a pipeline's parts as its index names them.

    Raises:
        NotAPipeline: There is no index, or it names something else than such a pipeline.
    """
    import diffusers
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
        kind = index.get("_class_name")
        listed = {part: str(named[1]) for part, named in index.items() if isinstance(named, list) and named[1]}
    except FileNotFoundError:
        raise NotAPipeline(folder, f"it has no {INDEX}") from None
    except (OSError, ValueError, AttributeError, IndexError) as error:
        raise NotAPipeline(folder, f"its {INDEX} cannot be read: {error}") from None
    if kind != KIND:
        raise NotAPipeline(folder, f"it is a {kind}")
    for part in NEEDED:
        if part not in listed:
            raise NotAPipeline(folder, f"its index names no {part}")
        if listed[part] not in CLASSES.get(part, (listed[part],)):
            raise NotAPipeline(folder, f"its {part} is a {listed[part]}")
    if not issubclass(getattr(diffusers, listed["scheduler"], object), SchedulerMixin):
        raise NotAPipeline(folder, f"its scheduler is a {listed['scheduler']}")
    return listed


def _part(folder: Path, part: str) -> str:
    if not (folder / part).is_dir():
        raise NotAPipeline(folder, f"its folder {part} is missing")
    return str(folder / part)


def _load_weights(kind: Any, folder: Path, part: str) -> Any:
    load = partial(kind.from_pretrained, use_safetensors=True, output_loading_info=True, low_cpu_mem_usage=False)
    model, info = load_pretrained(partial(load, variant=_variant(folder, part)), _part(folder, part))
    if absent := sorted(info["missing_keys"]):
        raise NotAPipeline(folder, f"{len(absent)} weights of its {part} are missing, such as {absent[0]}")
    return model


def _load_whole(kind: Any, folder: Path, part: str) -> Any:
    return load_model(kind, _part(folder, part), variant=_variant(folder, part))


def _variant(folder: Path, part: str) -> str | None:
    """Return `HALF` where a part has its weights in half precision only, and None elsewhere."""
    names = [path.name for path in (folder / part).glob("*.safetensors*")]
    return HALF if names and all(f".{HALF}." in name or f".{HALF}-" in name for name in names) else None


def _extras(folder: Path, listed: Mapping[str, str]) -> dict[str, Any]:
    """Load what a pipeline may have or not: a safety checker, and what shows pictures to it and to adapters.

    Returns:
        The parts by name, None for those that there are not.

    Raises:
        NotAPipeline: There is a checker that nothing shows pictures to.
    """
    extras: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "image_encoder": None}
    if "feature_extractor" in listed:
        # by its class, not by its name: older pipelines name classes that are no more
        extras["feature_extractor"] = load_pretrained(
            CLIPImageProcessorPil.from_pretrained, _part(folder, "feature_extractor")
        )
    if "image_encoder" in listed:
        extras["image_encoder"] = _load_whole(CLIPVisionModelWithProjection, folder, "image_encoder")
    if "safety_checker" in listed:
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

        if extras["feature_extractor"] is None:
            raise NotAPipeline(folder, "it has a safety checker, but no feature_extractor to show it pictures")
        extras["safety_checker"] = _load_whole(StableDiffusionSafetyChecker, folder, "safety_checker")
    return extras


def _check_fit(folder: Path, parts: Mapping[str, Any]) -> None:
    unet, vae, text = parts["unet"].config, parts["vae"].config, parts["text_encoder"].config
    if unet.cross_attention_dim != text.hidden_size:
        read, given = unet.cross_attention_dim, text.hidden_size
        raise NotAPipeline(folder, f"its U-Net reads {read} figures of each token, its text encoder gives {given}")
    if unet.in_channels != vae.latent_channels:
        taken, had = unet.in_channels, vae.latent_channels
        raise NotAPipeline(folder, f"its U-Net takes {taken} channels, its autoencoder has {had}")
    if not isinstance(unet.sample_size, int):
        raise NotAPipeline(folder, f"its pictures are not square, but of {unet.sample_size} latents")
