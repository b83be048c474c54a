"""A generator taught a subject: always from the start, never twice the same, exact again from its files."""

import weakref
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quick_parts import (
    ANCHORS,
    SIZE,
    TEST,
    TOY,
    Drill,
    Judge,
    Painter,
    contents,
    example,
    learner,
    picture,
    references,
)

from desiderata.campaign.blobs import FolderBlobs, MemoryBlobs
from desiderata.campaign.learner import Example
from desiderata.campaign.records import Answer, Exchange, Proposal, Query
from desiderata.errors import Damaged, DesiderataError
from desiderata.personalize.measurement import Measurement
from desiderata.personalize.pictures import find_references, keep_references, read_references, square
from desiderata.personalize.subject import Subject
from desiderata.personalize.tensors import about, pack, unpack
from desiderata.personalize.trainers.recipe import Recipe

RNG = np.random.default_rng(0)
STYLE = Subject.of("mosaic style", kind="style", setting="a cat")


@pytest.fixture(autouse=True)
def lessons():
    Drill.lessons = []
    return Drill.lessons


class Stopped(Exception):
    pass


class Falters(Painter):
    """Draws two batches and is then stopped."""

    def _one(self, prompt, seed):
        if len(self.drawn or ()) >= 8:
            raise Stopped
        return super()._one(prompt, seed)


def stands(one):
    return one.save(), one.evaluate()


def test_it_learns_the_references_and_what_was_chosen_with_their_captions_and_weights():
    made = learner()
    made.fit([example(1), example(2, "a sepia photo of a sks toy", 1.0)], RNG)
    assert [(image.caption, image.weight) for image in made.images] == [
        *[("a sks toy on a wooden table", 1.0)] * 2,
        ("a sks toy in the snow", 0.003),
        ("a sepia photo of a sks toy", 1.0),
    ]
    np.testing.assert_array_equal(made.images[2].image, square(picture(1), SIZE))
    assert made.classes == ("toy",)
    assert [held.label for held in made.held()] == ["toy"] * 2


def test_every_fit_begins_from_the_base_model():
    first, second = learner(), learner()
    first.fit([example(1)], RNG)
    second.fit([], RNG)
    second.fit([example(2)], RNG)
    second.fit([example(1)], np.random.default_rng(9))
    assert stands(first) == stands(second)
    second.fit([example(1, weight=0.5)], RNG)
    assert second.save() != first.save()


def test_it_stands_again_where_it_stood(tmp_path: Path):
    made, again = learner(FolderBlobs(tmp_path)), learner(FolderBlobs(tmp_path))
    made.fit([example(1)], RNG)
    again.load(made.save(), [example(1)])
    assert stands(again) == stands(made)
    assert [one.caption for one in again.images] == [one.caption for one in made.images]
    assert again.test_folder == made.test_folder


def test_nothing_holds_what_was_taught_before_while_something_else_is_learnt():
    drawn_with: list[weakref.ref[object]] = []
    held: list[bool] = []

    def progress(what: str, *_: int) -> None:
        if what == "Learning":
            held.extend(before() is not None for before in drawn_with)

    made = learner(progress=progress)
    made.fit([], RNG)
    drawn_with.append(weakref.ref(made.personalised))
    made.fit([example(1)], RNG)
    assert held == [False, False]


def test_half_precision_is_what_is_measured_too():
    made, again, whole = learner(half=True), learner(half=True), learner()
    for one in (made, whole):
        one.fit([], RNG)
    again.load(made.save(), [])
    assert stands(again) == stands(made)
    assert unpack(made.save())[0]["weight"].element_size() == 2
    assert made.teacher.learnt["weight"].tolist() != whole.teacher.learnt["weight"].tolist()


def test_what_is_known_is_not_learnt_again(lessons: list[int]):
    made = learner()
    made.fit([example(1)], RNG)
    made.fit([example(1)], RNG)
    again = learner()
    again.load(made.save(), [example(1)])
    again.fit([example(1)], RNG)
    assert lessons == [1, 2]


def test_campaigns_share_what_is_the_same(tmp_path: Path, lessons: list[int]):
    memo = FolderBlobs(tmp_path / "memo")
    painters = [Painter(), Painter(), Painter()]
    first, second = (learner(FolderBlobs(tmp_path / str(i)), memo=memo, generator=painters[i]) for i in (0, 1))
    for one in (first, second):
        one.fit([], RNG)
        one.tidy()
    assert stands(first) == stands(second)
    assert lessons == [1, 2]
    assert (len(painters[0].drawn or ()), painters[1].drawn) == (2 + 4, [])
    assert contents(tmp_path / "0") == contents(tmp_path / "1")
    other = learner(FolderBlobs(tmp_path / "2"), memo=memo, generator=painters[2], seed=4)
    other.fit([], RNG)
    assert len(lessons) == 4
    alone = learner()
    alone.fit([], RNG)
    assert alone.save() == first.save(), "a memo changes nothing"


def test_what_is_damaged_in_a_memo_is_learnt_once_more(tmp_path: Path, lessons: list[int]):
    memo = FolderBlobs(tmp_path)
    first, second = learner(memo=memo), learner(memo=memo)
    first.fit([], RNG)
    (file,) = (tmp_path / "weights").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    second.fit([], RNG)
    assert (lessons, file.read_bytes(), second.save()) == ([1, 2] * 2, whole, first.save())


def test_half_precision_through_a_memo(tmp_path: Path):
    memo = FolderBlobs(tmp_path)
    first, second = learner(memo=memo, half=True), learner(memo=memo, half=True)
    for one in (first, second):
        one.fit([], RNG)
    assert stands(first) == stands(second)


def test_training_goes_on_where_it_was_killed(tmp_path: Path, lessons: list[int]):
    def stop(what: str, done: int, _all: int) -> None:
        if (what, done) == ("Learning", 1):
            raise Stopped

    made = learner(FolderBlobs(tmp_path), progress=stop)
    with pytest.raises(Stopped):
        made.fit([], RNG)
    assert lessons == [1]
    again, whole = learner(FolderBlobs(tmp_path)), learner()
    again.fit([], RNG)
    assert lessons == [1, 2]
    whole.fit([], RNG)
    assert stands(again) == stands(whole)
    third = learner(FolderBlobs(tmp_path))
    third.fit([], RNG)
    assert lessons == [1, 2, 1, 2], "the whole one learnt, the third, after a kill before the record, did not"
    third.tidy()
    assert not (tmp_path / "training").exists(), "where training stood is of no use any more"


def test_two_processes_do_not_learn_in_one_run_at_a_time(tmp_path: Path, lessons: list[int]):
    made, other = learner(FolderBlobs(tmp_path)), learner(FolderBlobs(tmp_path))

    def meanwhile(what: str, done: int, _all: int) -> None:
        if (what, done) == ("Learning", 1):
            with pytest.raises(DesiderataError, match=r"Another process is learning in .*: wait until"):
                other.fit([], RNG)
            other.tidy()
            assert list((tmp_path / "training").glob("*.safetensors")), "what the first one needs is left to it"

    made.teacher.progress = meanwhile
    made.fit([], RNG)
    other.fit([], RNG)
    assert lessons == [1, 2], "the second one found what the first one had learnt"
    assert stands(made) == stands(other)
    other.tidy()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("training")) == []


def test_test_pictures_are_drawn_once(tmp_path: Path):
    shelf, options = FolderBlobs(tmp_path), {"class_pictures": 4, "measurement": Measurement(TOY, TEST, 4, 3)}
    made = learner(shelf, generator=Falters(), **options)
    made.fit([], RNG)
    with pytest.raises(Stopped):
        made.evaluate()
    again, whole = learner(shelf, **options), learner(**options)
    again.load(made.save(), [])
    figures = again.evaluate()
    assert (len(made.teacher.base.drawn), len(again.teacher.base.drawn)) == (4 + 4, 4)
    whole.fit([], RNG)
    assert figures == whole.evaluate()
    embedded = again.encoder.embedded
    assert again.evaluate() == figures
    assert again.encoder.embedded == embedded
    features = tmp_path / f"{again.test_folder}.safetensors"
    whole_file = features.read_bytes()
    features.write_bytes(whole_file[:-5])
    assert again.evaluate() == figures, "of pictures that are there everything can be worked out again"
    assert (features.read_bytes(), len(again.teacher.base.drawn)) == (whole_file, 4)


def test_candidates_that_were_drawn_before_a_kill_are_not_drawn_again(tmp_path: Path):
    made = learner(FolderBlobs(tmp_path), generator=Falters(), class_pictures=0, measurement=None)
    made.fit([], RNG)
    with pytest.raises(Stopped):
        made.state([], 1).candidates(3)
    again = learner(FolderBlobs(tmp_path), class_pictures=0, measurement=None)
    again.load(made.save(), [])
    found = again.state([], 1).candidates(3)
    assert (len(made.teacher.base.drawn), len(again.teacher.base.drawn)) == (8, 4)
    whole = learner(class_pictures=0, measurement=None)
    whole.fit([], RNG)
    np.testing.assert_array_equal(whole.state([], 1).candidates(3).features, found.features)


def test_the_first_candidates_are_the_same_however_many_there_are():
    one, many = learner(), learner()
    for made in (one, many):
        made.fit([], RNG)
    few, more = one.state([], 1).candidates(1), many.state([], 1).candidates(3)
    np.testing.assert_array_equal(few.features, more.features[:, :1])
    other = many.state([], 2).candidates(3)
    assert not np.isclose(other.features, more.features).all(2).any(), "another round has other seeds"


def test_what_the_safety_checker_blanks_is_counted_and_excluded():
    made = learner(generator=Painter(blanks=("snow", "room")))
    made.fit([], RNG)
    found = made.state([], 1).candidates(3)
    assert found.usable.all(1).tolist() == [False, True, True, True]
    assert found.blanked == 3
    assert not found.features[0].any()
    figures = made.evaluate()
    assert (figures["pictures"], figures["blanked"]) == (2, 2)
    made = learner(generator=Painter(blanks=("toy",)))
    made.fit([], RNG)
    assert made.evaluate() == {"full_weight_steps": 2, "class_blanked": 2, "pictures": 0, "blanked": 4}


def test_the_figures_are_those_of_the_paper():
    made = learner()
    made.fit([], RNG)
    figures = made.evaluate()
    judge = Judge()
    ((room, in_room), (blueprint, as_blueprint)) = made.measurement.kept(made.shelf, made.test_folder)
    assert (room, blueprint) == ("a sks toy in a room", "a blueprint of a sks toy")
    seen = judge.images([*in_room, *as_blueprint])
    texts = judge.texts(["a toy in a room"] * 2 + ["a blueprint of a toy"] * 2)
    to_text, to_plain = (seen * texts).sum(1), seen @ judge.texts(["a toy on a wooden table"])[0]
    assert figures["txt_aln"] == pytest.approx(to_text.mean())
    assert figures["img_aln"] == pytest.approx((seen @ judge.images([r.image for r in references()]).T).mean())
    assert figures["ovf"] == np.mean(to_text < to_plain)
    assert figures["full_weight_steps"] == 2


def test_figures_of_the_choice_that_led_here_are_told():
    made = learner(measurement=None)
    made.fit([example(1, openness=0.002, mean_entropy=0.4)], RNG)
    figures = made.evaluate()
    assert {name: figures[name] for name in ("openness", "mean_entropy")} == {"openness": 0.002, "mean_entropy": 0.4}


def test_used_directions_are_known_from_what_was_said():
    made = learner()
    made.fit([], RNG)

    def said(prompt: str, status: str) -> Exchange:
        return Exchange(Query("q", 1, Proposal("toy", prompt), status), np.empty((0, 8)), np.empty(0, np.int64))

    told = [said("a sks toy in the snow", "answered"), said("a sks toy on the beach", "skipped")]
    assert [anchor.template for anchor in made.state(told, 2).anchors] == list(ANCHORS[1:])
    assert np.linalg.norm(made.state([], 1).centre) == pytest.approx(1)


def test_a_control_may_give_the_room_of_additions_to_nothing(lessons: list[int]):
    made = learner(trainer=Drill(Recipe(steps=40)))
    query = Query("r001-q01", 1, Proposal("toy", "", np.ones(8), {"additions": 6.0}, 0.0), "answered")
    made.fit([Example(query, Answer(query.id, "", "toy", 0.0), np.ones(8), b"")], RNG)
    assert [image.weight for image in made.images] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert len(lessons) == 40, "it is as long a training as any"
    # 2 references, 6 pictures of no weight: a quarter of the steps draws a reference
    assert made.evaluate()["full_weight_steps"] == 10


def test_class_pictures_are_drawn_by_the_base_model_or_given_and_a_style_has_none():
    drawn, given = learner(), learner(class_pictures=references(3, first=50))
    style = learner(subject=STYLE, references=references(1), class_pictures=4, measurement=None)
    for made in (drawn, given, style):
        made.fit([], RNG)
    assert [prompt for prompt, _ in drawn.teacher.base.drawn] == ["a photo of a toy"] * 2
    assert given.teacher.base.drawn == style.teacher.base.drawn == []
    assert len({drawn.save(), given.save(), style.save()}) == 3


def test_weights_of_something_else_are_refused():
    made = learner()
    made.fit([], RNG)
    with pytest.raises(DesiderataError, match="made with another generator than other is now"):
        learner(generator=Painter(name="other")).load(made.save(), [])
    tensors, said = unpack(made.save())
    with pytest.raises(DesiderataError, match="has learnt with lora so far"):
        learner().load(pack(tensors, {**said, "trainer": "lora"}), [])
    for damaged in (made.save()[:-1], b"", b"nothing of the kind", made.save()[:40]):
        with pytest.raises(Damaged, match="is damaged"):
            learner().load(damaged, [])
    assert about(BytesIO(made.save()))["key"] == made.teacher.key


@dataclass(frozen=True)
class Applies(Drill):
    """Learns as a drill does, and draws with an adapter of which a run keeps no copy."""

    adapter: str = "own"
    content: str = "a"

    def applied(self) -> str:
        return self.content


def test_another_adapter_than_a_run_was_made_with_is_refused():
    made, bundled = (learner(trainer=Applies(adapter=name)) for name in ("own", "moji-adapter"))
    said = "made with another adapter than {} is now: put that one back, or make a new campaign"
    for one in (made, bundled):
        one.fit([], RNG)
        learner(trainer=one.teacher.trainer).load(one.save(), [])
        other = learner(trainer=replace(one.teacher.trainer, content="b"))
        with pytest.raises(DesiderataError, match=said.format(one.teacher.trainer.adapter)):
            other.load(one.save(), [])
    tensors, about = unpack(made.save())
    before = pack(tensors, {key: value for key, value in about.items() if key != "applied"})
    made.load(before, [])  # of an earlier version, which did not say
    with pytest.raises(DesiderataError, match=said.format("moji-adapter")):
        bundled.load(before, [])


# References


def test_references_are_read_upright_cut_to_the_middle_and_scaled(tmp_path: Path):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :10], pixels[:20, 10:50, 0], pixels[20:, 10:50, 2] = 255, 200, 200
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(pixels).rotate(90, expand=True).save(tmp_path / "b.png", exif=exif)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    upright, turned = read_references(tmp_path, 8)
    assert upright.image.shape == (8, 8, 3)
    assert upright.image[0, 4].tolist() == [200, 0, 0]
    assert upright.image[7, 4].tolist() == [0, 0, 200]
    np.testing.assert_array_equal(upright.image, turned.image)
    assert [Path(one.name).name for one in (upright, turned)] == ["a.png", "b.png"]


def test_references_are_found_in_the_run_or_where_they_lay(tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in (1, 2):
        picture(seed).save(photos / f"{seed}.png")
    given = read_references(photos, SIZE)
    wanted = {one.digest: one.name for one in given}
    shelf = MemoryBlobs()
    there = find_references(shelf, wanted, photos, SIZE)
    assert [one.digest for one in there] == list(wanted)
    keep_references(shelf, given)
    (photos / "1.png").unlink()
    assert [one.digest for one in find_references(shelf, wanted, tmp_path / "nowhere", SIZE)] == list(wanted)
    with pytest.raises(DesiderataError, match=r"1\.png is gone or has been changed"):
        find_references(MemoryBlobs(), wanted, photos, SIZE)


def test_references_that_cannot_be_meant(tmp_path: Path):
    for source, says in [
        (tmp_path / "nowhere", "is not a folder"),
        (tmp_path, "has no .* images"),
        ([], "No picture of the subject"),
    ]:
        with pytest.raises(DesiderataError, match=says):
            read_references(source, SIZE)
    with pytest.raises(DesiderataError, match="no picture of the subject"):
        learner(references=[])
    with pytest.raises(DesiderataError, match="2 settings came with 3"):
        learner(subject=Subject.of("toy", setting=["here", "there"]), references=references(3))


def test_a_sentence_of_the_references_measures_nothing():
    asked = Measurement(TOY, (*TEST, "{} on a wooden table"), 2, 3)
    assert [prompt.template for prompt in asked.prompts] == list(TEST)
