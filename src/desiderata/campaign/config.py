"""`campaign.toml`: what was asked for when a campaign was made, and how it is built again from that."""

import importlib
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from desiderata.errors import DesiderataError
from desiderata.files import readable

if TYPE_CHECKING:
    from desiderata.campaign.learner import Learner
    from desiderata.campaign.records import Strategy
    from desiderata.campaign.store import Store

VERSION = 1
FILE = "campaign.toml"
SEEDS = 2**32

BUILDERS = {"collect": "desiderata.collect.build", "personalize": "desiderata.personalize.build"}
"""The module of each half that has `build(config, store) -> (learner, strategy)`."""


class ConfigError(DesiderataError):
    """`campaign.toml` is missing or says something that cannot be meant."""


@dataclass(frozen=True)
class Config:
    """What a campaign is made of, by name.

    Attributes:
        seed: Seeds everything; at least 0 and below 2**32, which is what all that draws from it can take.
        half: "collect", "personalize", or "python" for a campaign whose parts were passed as objects, and have to be
            passed again to open it.
        world: Where the data comes from: `kind` ("folder", "moji", "references") and what that kind needs.
        encoder: Name, directory or hub id of the joint image-text encoder; empty for "python".
        strategy: `name` and the parameters of the strategy.
        head: Parameters of the head of a classifier.
        generator: Of personalising: `name` of the base model, and how it is run and sampled.
        subject: Of personalising: what is learnt, in words.
        trainer: Of personalising: `name` and the settings of how it is learnt.
        prompts: Of personalising: what the generator may ask itself for, and what it is measured by.
        version: Of this file's layout.

    Raises:
        ConfigError: The seed is out of range, or a name cannot be written down as UTF-8.
    """

    seed: int = 0
    half: str = "python"
    world: Mapping[str, Any] = field(default_factory=dict)
    encoder: str = ""
    strategy: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, Any] = field(default_factory=dict)
    generator: Mapping[str, Any] = field(default_factory=dict)
    subject: Mapping[str, Any] = field(default_factory=dict)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEEDS:
            raise ConfigError(f"The seed {self.seed} is out of range: give a number from 0 to {SEEDS - 1}.")
        tables = (self.world, self.strategy, self.generator, self.subject, self.trainer, self.prompts)
        values = [value for table in tables for value in table.values()]
        inside = [one for value in values if isinstance(value, list | tuple) for one in value]
        for value in (self.encoder, *values, *inside):
            if isinstance(value, str) and readable(value) != value:
                raise ConfigError(
                    f"The name {readable(value)} is not UTF-8, so that {FILE} cannot hold it: rename the folder."
                )

    @property
    def given(self) -> list[Path]:
        """The user's folders of pictures, which are left as they are; a number of pictures to draw is none."""
        told = [self.world.get(name) for name in ("images", "validation", "test", "class_images")]
        return [Path(folder) for folder in told if folder and isinstance(folder, str)]

    def to_toml(self) -> str:
        """Return the text of the file; options that are None are left out."""
        table = {f.name: getattr(self, f.name) for f in sorted(fields(self), key=lambda f: f.name != "version")}
        plain = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
        nested = {
            name: {key: one for key, one in value.items() if one is not None}
            for name, value in table.items()
            if isinstance(value, Mapping) and value
        }
        return tomli_w.dumps(plain | nested)

    @classmethod
    def read(cls, run: Path) -> "Config":
        """Return the configuration of the run at `run`.

        Raises:
            ConfigError: There is no run, or its file is damaged, of a newer version, or has unknown or wrong keys.
        """
        path = run / FILE
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigError(f"{run} is not a campaign: {_mend(run)}.") from None
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read ({error.strerror}): give the directory of a campaign."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read ({error}): put back what was changed in it.") from None
        if table.get("version") != VERSION:
            raise ConfigError(
                f"{path} is of version {table.get('version')}, and this desiderata reads version {VERSION}: "
                "use the desiderata that wrote it, or a newer one."
            )
        kinds = {f.name: type(getattr(cls(), f.name)) for f in fields(cls)}
        for name, value in table.items():
            if name not in kinds:
                raise ConfigError(f"{path} has the unknown key {name!r}: remove it.")
            if type(value) is not kinds[name]:
                raise ConfigError(
                    f"{path} has a {type(value).__name__} as {name!r}: it must be {kinds[name].__name__}."
                )
        return cls(**table)


def _mend(run: Path) -> str:
    """Return what to do where there is no campaign; a new one needs a place that is empty."""
    if run.is_file() or (run.is_dir() and any(run.iterdir())):
        return "give the directory of one"
    return f"check the name, or make one with `{shlex.join(['desiderata', 'new', str(run)])} --images FOLDER`"


def build(config: Config, store: "Store") -> "tuple[Learner[Any], Strategy[Any]]":
    """Return the learner and the strategy that `config` names, built from what `store` recorded at the start.

    Raises:
        ConfigError: The campaign was made from Python objects, or names a half that does not exist.
    """
    if config.half == "python":
        raise ConfigError("This campaign was made from Python objects: open it with the same learner and strategy.")
    if config.half not in BUILDERS:
        raise ConfigError(f"{config.half!r} is no half of this library: it must be one of {', '.join(BUILDERS)}.")
    return importlib.import_module(BUILDERS[config.half]).build(config, store)
