"""From names to parts: the one place that knows how a collecting campaign is put together."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from desiderata.campaign.config import Config
from desiderata.campaign.directory import check_free
from desiderata.campaign.features import cache_folder
from desiderata.campaign.loop import Campaign
from desiderata.campaign.oracle import Oracle
from desiderata.campaign.records import Features, Strategy
from desiderata.campaign.store import Store
from desiderata.collect.data import LabelledSet
from desiderata.collect.learner import CollectLearner
from desiderata.collect.start import LeftOut, Progress, start_from
from desiderata.collect.state import CollectState
from desiderata.describe.bank import SentenceBank, phrase_bank, read_captions, sort_captions
from desiderata.errors import DesiderataError
from desiderata.files import check_outside, staged
from desiderata.foundation.encoder import Encoder, load_encoder
from desiderata.randomness import stream
from desiderata.threads import use_physical_cores

if TYPE_CHECKING:
    from desiderata.collect.toolbox import DecapDescriber, Toolbox

DECODERS = {"moji-clip": "moji-decap"}
"""The decoder that was trained on an encoder, for the Moji world, whose sentences are all that it writes; everything
else is described by retrieval from the bank."""

GENERATOR = "moji-diffusion"
"""The generator that answers where no other is named."""

PROBES = 8
"""How many sentences of a bank tell encoders of one name apart."""

BANK_SIZE = 1500
"""Sentences for each class of the Moji world, the same ones for every campaign."""


def create(path: Path, config: Config, progress: Progress | None = None) -> tuple[Campaign, LeftOut]:
    """Make the campaign that `config` names: gather, embed, fit, record.

    Like `build`, it sets the number of threads of the whole process, because sums over more or fewer threads round
    otherwise: a campaign that is continued by another command or from Python goes on as the first would have.

    Args:
        path: The directory of the run.
        config: What is asked for.
        progress: Called with the number of pictures embedded and of all pictures.

    Returns:
        The campaign, and what was found and left out.

    Raises:
        DesiderataError: Something named does not exist or cannot be used. Nothing is left at `path` then.
    """
    check_free(path)
    for folder in config.given:  # a run in one would be a class of the next run
        check_outside(path, folder, "your images")
    use_physical_cores()
    encoder = load_encoder(config.encoder)
    start = start_from(config.world, config.seed, encoder, progress)
    learner = _learner(config, encoder, start.classes, start.initial, start.validation, start.test)
    strategy = _strategy(config, encoder, start.classes)
    return Campaign.create(path, learner=learner, strategy=strategy, config=config), start.left_out


def build(config: Config, store: Store) -> tuple[CollectLearner, Strategy[CollectState]]:
    """Return the learner and the strategy of a recorded campaign; its pictures are not needed again.

    It sets the number of threads of the whole process; see `create`.

    Raises:
        DesiderataError: A model or a file that `config` names is gone.
    """
    use_physical_cores()
    encoder = load_encoder(config.encoder)
    classes = tuple(store.fact("classes"))
    held = store.held()
    initial, validation, test = (LabelledSet.of(held, part, classes) for part in ("initial", "validation", "test"))
    if initial is None or validation is None:
        raise DesiderataError(f"{store.path} holds no initial or validation pictures: make the campaign again.")
    return _learner(config, encoder, classes, initial, validation, test), _strategy(config, encoder, classes)


def make_oracle(
    name: str,
    campaign: Campaign,
    *,
    archive: Path | None = None,
    generator: str = GENERATOR,
    device: str = "cpu",
    progress: Progress | None = None,
    **options: Any,
) -> Oracle:
    """Make an oracle for a campaign by its name.

    Args:
        name: "scene", "archive" or "generator".
        campaign: A collecting campaign.
        archive: The folder of the archive.
        generator: The model of the generator; see `foundation.generator.load_generator`.
        device: Where the generator runs.
        progress: Called while an archive is read.
        **options: For the archive, `least_similarity` and `check_class`; for the generator, `check_class`.

    Returns:
        The oracle.

    Raises:
        DesiderataError: There is none of that name, it does not go with the campaign, or the archive or the model
            cannot be used.
    """
    if name == "scene":
        if campaign.config.world.get("kind") != "moji":
            raise DesiderataError(
                "The scene oracle draws emoji, which belong into campaigns made with --world moji only: answer with "
                "--oracle archive, or with tell."
            )
        from desiderata.oracles.scene import scene_oracle

        return scene_oracle()
    if name not in {"archive", "generator"}:
        raise DesiderataError(
            f"There is no oracle called {name!r}: choose scene, archive or generator, or answer with tell."
        )
    encoder = getattr(campaign.learner, "encoder", None)
    if encoder is None:
        raise DesiderataError(f"This campaign has no encoder of its own: make the {name} oracle in Python.")
    if name == "generator":
        from desiderata.foundation.generator import load_generator
        from desiderata.oracles.generator import GeneratorOracle

        return GeneratorOracle(load_generator(generator, device=device), encoder, campaign.classes, **options)
    if archive is None:
        raise DesiderataError("The archive oracle needs a folder to search: name it with --archive FOLDER.")
    from desiderata.oracles.archive import ArchiveOracle

    def taken() -> set[str]:
        return campaign.taken() | campaign.taken_back()

    return ArchiveOracle(archive, encoder, campaign.classes, taken=taken, progress=progress, **options)


def _learner(
    config: Config,
    encoder: Encoder,
    classes: Sequence[str],
    initial: LabelledSet,
    validation: LabelledSet,
    test: LabelledSet | None,
) -> CollectLearner:
    try:
        return CollectLearner(encoder, classes, initial, validation, test, seed=config.seed, **config.head)
    except TypeError as error:
        raise DesiderataError(f"The head cannot be made as campaign.toml says ({error}): correct it there.") from None


def _strategy(config: Config, encoder: Encoder, classes: Sequence[str]) -> Strategy[CollectState]:
    from desiderata.collect.strategies import make_strategy

    parameters = dict(config.strategy)
    name = parameters.pop("name", None)
    if not isinstance(name, str):
        raise DesiderataError(
            "The campaign's table `strategy` does not say which: give it a name, such as genmqd, in campaign.toml."
        )
    return make_strategy(name, toolbox(config, encoder, classes), **parameters)


def toolbox(config: Config, encoder: Encoder, classes: Sequence[str]) -> "Toolbox":
    """Return the frozen models behind a strategy: the encoder, sentences to ask for, and a describer.

    The sentences are those of the file `captions` of the world, where there is one, sorted into classes; otherwise
    those of the Moji grammar at large, or general phrases about any class. Nobody who brings photographs is asked
    for a blueprint of three moons: the grammar's sentences, and the decoder that writes such, are for the Moji world.

    Raises:
        DesiderataError: The captions cannot be read or leave a class out, or the decoder cannot be loaded.
    """
    from desiderata.collect.toolbox import RetrievalDescriber, Toolbox

    if config.world.get("captions"):
        sentences = sort_captions(read_captions(Path(config.world["captions"])), classes, encoder)
    elif config.world.get("kind") == "moji":
        from desiderata.worlds.moji.sampler import sentence_bank

        sentences = {label: sentence_bank(label, BANK_SIZE, stream(0, "bank", label)) for label in classes}
    else:
        sentences = phrase_bank(classes)
    bank = _embedded(sentences, encoder)
    if encoder.name in DECODERS and config.world.get("kind") == "moji":
        return Toolbox(encoder, tuple(classes), bank, _DecoderWhenNeeded(DECODERS[encoder.name]))
    return Toolbox(encoder, tuple(classes), bank, RetrievalDescriber(bank))


class _DecoderWhenNeeded:
    """A describer whose decoder is loaded by the first strategy that puts points into words; most never do."""

    def __init__(self, name: str):
        self.name = name

    @cached_property
    def _describer(self) -> "DecapDescriber":
        from desiderata.collect.toolbox import DecapDescriber
        from desiderata.describe.decap import load_decoder

        return DecapDescriber(load_decoder(self.name))

    def describe(self, points: Features, labels: Sequence[str]) -> list[str]:
        return self._describer.describe(points, labels)

    def propose(self, points: Features, labels: Sequence[str], n: int, seed: int) -> list[list[str]]:
        return self._describer.propose(points, labels, n, seed)


def _embedded(sentences: Mapping[str, Sequence[str]], encoder: Encoder) -> SentenceBank:
    """Return a bank, embedded once for each encoder: thousands of sentences take a large model minutes.

    The encoder is told apart by its name and by what it makes of a few of the sentences. What it makes of pictures
    plays no part, so that a model whose picture side alone was trained further keeps its bank.
    """
    lines = sorted(sentences.items())
    probes = list(chain.from_iterable(found for _, found in lines))
    made = np.round(encoder.texts(probes[:: -(-len(probes) // PROBES)]), 3) + 0.0
    key = hashlib.sha256(repr((encoder.name, made.tolist(), lines)).encode()).hexdigest()
    path = cache_folder() / "banks" / f"{key}.safetensors"
    try:
        return SentenceBank(tuple(sentences), dict(sentences), load_file(path))
    except (OSError, SafetensorError):
        bank = SentenceBank.of(sentences, encoder)
        # a cache that cannot be written costs time and nothing else
        with suppress(OSError, SafetensorError), staged(path) as temporary:
            save_file(dict(bank.embeddings), temporary)
        return bank
