"""Teaching a base model a subject, again and again from the start, and never the same lesson twice."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from desiderata.campaign.blobs import Blobs, FolderBlobs
from desiderata.campaign.images import digest_of
from desiderata.claims import claimed
from desiderata.errors import Damaged, DesiderataError
from desiderata.foundation.device import memory_for
from desiderata.foundation.generator import Generator
from desiderata.foundation.registry import content_key
from desiderata.personalize.drawing import BLANKED, SEEDS, Easel, Report, Wanted, drawing_key, kept, key_of
from desiderata.personalize.pictures import Reference
from desiderata.personalize.recipes import ADAPTERS
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.tensors import pack, unpack
from desiderata.personalize.trainers.recipe import Recipe, Running
from desiderata.personalize.trainers.schedule import Schedule
from desiderata.personalize.trainers.trainer import Trainer, at_pace
from desiderata.randomness import stream

Progress = Callable[[str, int, int], None]
"""Called with what is being done, such as "Learning", how much of it is done, and how much there is to do."""

TRAINING = "training"
"""The folder of a run in which training keeps where it stands."""

CLAIM = "training.lock"
"""The file of a run that is there while a process learns."""


class Teacher:
    """A base model with a way to teach it.

    Args:
        base: The base model, which is left as it is.
        trainer: How a subject is learnt.
        class_prompt: What class pictures show (prior preservation); None for no such pictures.
        class_pictures: So many drawn by the base model, or these.
        seed: The campaign's. All lessons share one training seed, as the authors' runs do, so that rounds differ by
            their pictures alone.
        shelf: The files of the run.
        memo: Where weights and pictures are kept by what they come from, for other campaigns that learn and draw the
            same; None for nowhere.
        half: Whether what is learnt is rounded to half precision.
        progress: Told what takes time.

    Attributes:
        key: Tells what was taught last apart from everything else that could have been.
        learnt: Its weights, float32.
    """

    def __init__(
        self,
        base: Generator,
        trainer: Trainer,
        *,
        class_prompt: str | None,
        class_pictures: int | Sequence[Reference],
        seed: int,
        shelf: Blobs,
        memo: Blobs | None,
        half: bool,
        progress: Progress,
    ) -> None:
        self.base, self.trainer, self.shelf, self.memo, self.half = base, trainer, shelf, memo, half
        self.progress = progress
        self._class_prompt = class_prompt
        self._class_pictures = class_pictures if class_prompt else 0
        self._seed = seed
        self._personalised: Generator | None = None
        self.key, self.learnt = "", {}

    def teach(self, images: Sequence[TrainingImage], pace: float = 1.0) -> None:
        """Teach the base model what is on some pictures.

        A killed call goes on from the trainer's checkpoint in the run. What was taught last, or is in the memo, is
        not learnt again.

        Args:
            images: Pictures of the subject.
            pace: Factor of the trainer's learning rate.

        Raises:
            DesiderataError: The trainer takes no steps, and so has no pace; another process learns in this run; or
                the device has not the memory.
        """
        prior, trainer = self._prior(), at_pace(self.trainer, pace)
        key = self._lesson_key(images, prior, trainer)
        if key == self.key:  # nothing has come since
            return
        name = f"weights/{key}.safetensors"
        if self.memo and (content := kept(self.memo, name)):
            with suppress(Damaged):  # then it is learnt once more
                self._stand(key, unpack(content)[0])
                return
        self._personalised = None  # gigabytes that nothing draws with while something else is learnt
        report, seed = self.report("Learning"), self._training_seed
        with self._claim() as alone:
            if not alone:
                raise DesiderataError(
                    f"Another process is learning in {self._folder} at this moment: wait until it has done so, and "
                    "call this again."
                )
            # Others there are left until something is recorded: another device may be in the midst of this round.
            checkpoint = self._folder and self._folder / TRAINING / f"{key[:32]}.safetensors"
            with memory_for(f"teach {self.base.name} by {trainer.name}", self.base.device, self._ways(trainer)):
                learnt = trainer.train(self.base, images, seed, prior=prior, checkpoint=checkpoint, progress=report)
        self._stand(key, learnt)
        if self.memo:
            self.memo.put(name, self.save())

    def tidy(self) -> None:
        """Remove where training stood from the run, once what it came to is recorded."""
        with self._claim() as alone:
            if alone:
                self._clear()

    @property
    def personalised(self) -> Generator:
        """The generator with what was taught last."""
        if self._personalised is None:
            with memory_for(f"hold a second {self.base.name}", self.base.device, self._half()):
                self._personalised = self.trainer.apply(self.base, self.learnt)
        return self._personalised

    def easel(self) -> Easel:
        """Return what draws with what was taught last."""
        return Easel(lambda: self.personalised, drawing_key(self.key, self.base), self.shelf, self.memo)

    def full_weight_steps(self, weights: Sequence[float]) -> float:
        """Return how many steps' worth of training comes from pictures of full weight.

        Args:
            weights: Of all pictures of the subject.

        Returns:
            The number; 0 for a trainer that takes no steps.
        """
        schedule = self._schedule(weights)
        return schedule.full_weight_steps() if schedule else 0.0

    def steady_pace(self, weights: Sequence[float]) -> float:
        """Return the factor of the learning rate at which pictures of full weight move the model as far as before.

        AdamW divides a step by the root of the mean squared gradient. Pictures of little weight thin that out, and
        make the steps of the others longer by as much as this is below 1.

        Args:
            weights: Of all pictures of the subject.

        Returns:
            The root of `Schedule.thinned`; 1 for a trainer that takes no steps.
        """
        schedule = self._schedule(weights)
        return math.sqrt(schedule.thinned()) if schedule else 1.0

    def save(self) -> bytes:
        """Return what was taught last as the content of a safetensors file."""
        tensors = {name: value.half() if self.half else value for name, value in self.learnt.items()}
        about = {"base": self.base_key, "key": self.key, "trainer": self.trainer.name}
        return pack(tensors, about | ({"applied": self._applied} if self._applied else {}))

    def load(self, weights: bytes) -> None:
        """Stand where `teach` stood when `save` returned `weights`, to the last bit.

        Raises:
            Damaged: They are not whole.
            DesiderataError: They were learnt from another base model or by another trainer.
        """
        learnt, about = unpack(weights)
        if about["base"] != self.base_key and about["base"] != self._earlier_key:  # which takes long
            raise DesiderataError(
                f"This campaign was made with another generator than {self.base.name} is now: use that one, or make "
                "a new campaign."
            )
        if about["trainer"] != self.trainer.name:
            raise DesiderataError(
                f"This campaign has learnt with {about['trainer']} so far, and not with {self.trainer.name}: put "
                "campaign.toml back."
            )
        if about.get("applied", self._applied_before) != self._applied:
            raise DesiderataError(
                f"This campaign was made with another adapter than {self._adapter} is now: put that one back, or "
                "make a new campaign."
            )
        self._stand(about["key"], learnt)

    @property
    def class_blanked(self) -> int:
        """How many of the class pictures that were drawn the safety checker blacked out, so that none learns them."""
        drawn = self._class_pictures if isinstance(self._class_pictures, int) else 0
        return sum(kept(self.shelf, _class_name(number) + BLANKED) is not None for number in range(drawn))

    def report(self, what: str) -> Report:
        """Return whom to tell how far `what` has come."""
        return lambda done, total: self.progress(what, done, total)

    @cached_property
    def base_key(self) -> str:
        """Tells the base model apart by the content of its files."""
        try:
            return content_key(self.base.name)
        except DesiderataError:  # it was made in Python and has no files
            return self.base.name

    @cached_property
    def _applied(self) -> str:
        """Tells apart what the trainer applies beside what was learnt, and of which a run keeps no copy."""
        applied = getattr(self.trainer, "applied", None)
        return applied() if applied else ""

    @property
    def _applied_before(self) -> str:
        """What that was in a run that says nothing of it: the bundled adapter was another one then."""
        return "" if self._adapter in ADAPTERS.values() else self._applied

    @property
    def _adapter(self) -> str:
        return getattr(self.trainer, "adapter", "")

    @cached_property
    def _earlier_key(self) -> str:
        """What earlier versions told the base model apart by: everything that lies in its directory."""
        try:
            return content_key(self.base.name, everything=True)
        except DesiderataError:
            return self.base.name

    def _schedule(self, weights: Sequence[float]) -> Schedule | None:
        recipe: Recipe | None = getattr(self.trainer, "recipe", None)
        return Schedule(weights, len(self._prior()), recipe, self._training_seed) if recipe else None

    def _stand(self, key: str, learnt: Mapping[str, Tensor]) -> None:
        rounded = {name: value.half() if self.half else value for name, value in learnt.items()}
        self.key, self.learnt = key, {name: value.float() for name, value in rounded.items()}
        self._personalised = None

    def _prior(self) -> list[TrainingImage]:
        prompt, given = self._class_prompt, self._class_pictures
        if prompt is None or not given:
            return []
        if not isinstance(given, int):
            return [TrainingImage(one.image, prompt) for one in given]
        seeds = stream(self._seed, "class pictures").integers(SEEDS, size=given).tolist()
        wanted = [Wanted(_class_name(number), prompt, seed) for number, seed in enumerate(seeds)]
        easel = Easel(lambda: self.base, drawing_key(self.base_key, self.base), self.shelf, self.memo)
        drawn = easel.draw(wanted, self.report("Drawing class pictures"))
        return [TrainingImage(picture, prompt) for picture in drawn if picture is not None]

    def _lesson_key(self, images: Sequence[TrainingImage], prior: Sequence[TrainingImage], trainer: Trainer) -> str:
        lesson = [(digest_of(Image.fromarray(one.image)), one.caption, one.weight) for one in (*images, *prior)]
        device, precision = self.base.device.type, str(self.base.dtype)
        parts = (self.base_key, device, precision, trainer.key(), self._training_seed, self.half)
        return key_of(*parts, lesson, len(images))

    def _claim(self) -> AbstractContextManager[bool]:
        """Return what keeps other processes from learning in the run, and says whether none does."""
        return claimed(self._folder / CLAIM) if self._folder else nullcontext(True)

    def _half(self) -> list[str]:
        """Return how the base model would need less memory."""
        return ["begin a run with --precision float16"] if self.base.dtype == torch.float32 else []

    def _ways(self, trainer: Trainer) -> list[str]:
        """Return how a trainer would."""
        running = getattr(trainer, "running", None)
        again = "put gradient_checkpointing = true into the table trainer of campaign.toml and go on"
        ways = [again] if isinstance(running, Running) and not running.gradient_checkpointing else []
        ways += ["begin a run with --trainer dreambooth-lora"] if trainer.name == "dreambooth" else []
        return ways + self._half()

    def _clear(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder / TRAINING, ignore_errors=True)

    @property
    def _training_seed(self) -> int:
        return int(stream(self._seed, "training").integers(SEEDS))

    @property
    def _folder(self) -> Path | None:
        return self.shelf.root if isinstance(self.shelf, FolderBlobs) else None


def _class_name(number: int) -> str:
    """Return the name of a class picture that was drawn, without its ending."""
    return f"class/{number:03d}"
