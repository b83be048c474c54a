"""The frozen models of a personalising campaign."""

from dataclasses import dataclass, replace

from desiderata.campaign.config import Config
from desiderata.foundation.encoder import Encoder, load_encoder
from desiderata.foundation.generator import Generator, load_generator
from desiderata.foundation.registry import locate
from desiderata.personalize.asked import GeneratorTable


@dataclass(frozen=True)
class Models:
    """Frozen models that several campaigns of one process may share.

    Attributes:
        generator: The base model.
        encoder: Judges pictures.
    """

    generator: Generator
    encoder: Encoder

    @classmethod
    def of(cls, config: Config) -> "Models":
        """Load what a configuration names.

        Args:
            config: Of a personalising campaign.

        Returns:
            The models.

        Raises:
            DesiderataError: A model cannot be loaded, or the table `generator` says something that makes no sense.
        """
        table = GeneratorTable.of(config)
        locate(config.encoder, "encoder")  # a name that means nothing is said before gigabytes are fetched
        generator = load_generator(table.name, device=table.device, dtype=table.dtype)
        generator.sampling = replace(generator.sampling, **table.sampling)
        return cls(generator, load_encoder(config.encoder, device=table.device))
