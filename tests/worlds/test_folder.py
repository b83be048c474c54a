"""A folder of the user's own pictures: how it is divided, and what is said when it cannot be."""

from pathlib import Path

import pytest

from desiderata.errors import DesiderataError
from desiderata.worlds.folder import (
    class_meant,
    class_name,
    files_among,
    folder_names,
    image_files,
    other_files,
    read_folders,
)


def fill(root: Path, **classes: int) -> Path:
    for label, n in classes.items():
        (root / label).mkdir(parents=True)
        for i in range(n):
            (root / label / f"{i}.jpg").touch()
    return root


def test_each_class_is_divided_by_the_share_and_nothing_is_lost(tmp_path: Path):
    folder = fill(tmp_path, cat=10, dog=3, golden_retriever=2)
    world = read_folders(folder, validation_share=0.3, seed=1)
    assert world.classes == ("cat", "dog", "golden retriever")
    counts = [
        (sum(f.label == c for f in world.initial), sum(f.label == c for f in world.validation)) for c in world.classes
    ]
    assert counts == [(7, 3), (2, 1), (1, 1)]
    assert {f.path for f in world.initial} | {f.path for f in world.validation} == set(folder.rglob("*.jpg"))
    assert world.test == ()


def test_the_division_depends_on_the_seed_and_the_names_alone(tmp_path: Path):
    one, other = fill(tmp_path / "one", cat=20, dog=20), fill(tmp_path / "other", cat=20, dog=20)

    def names(root: Path, seed: int) -> list[str]:
        return [str(f.path.relative_to(root)) for f in read_folders(root, seed=seed).validation]

    assert names(one, 1) == names(other, 1) != names(one, 2)


def test_own_folders_for_validation_and_test_are_taken_whole(tmp_path: Path):
    parts = [fill(tmp_path / name, cat=n, dog=n) for name, n in (("a", 1), ("b", 2), ("c", 3))]
    world = read_folders(parts[0], validation=parts[1], test=parts[2])
    assert [len(part) for part in (world.initial, world.validation, world.test)] == [2, 4, 6]


def test_image_files_are_found_in_order_and_hidden_ones_are_not(tmp_path: Path):
    for name in ("b.JPG", "a/z.png", "a/.x.png", ".cache/y.png", "notes.txt", "c.webp", "d.GIF", "e.bmp", "f.svg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(p.relative_to(tmp_path)) for p in image_files(tmp_path)] == [
        "a/z.png",
        "b.JPG",
        "c.webp",
        "d.GIF",
        "e.bmp",
    ]


def test_files_are_taken_as_they_are_and_folders_opened(tmp_path: Path):
    fill(tmp_path, cat=2)
    assert [path.name for path in files_among([tmp_path / "x.txt", tmp_path / "cat"])] == ["x.txt", "0.jpg", "1.jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DesiderataError, match=r"empty has no JPEG, PNG, WebP, GIF or BMP images: give another"):
        files_among([tmp_path / "cat", tmp_path / "empty"])


def test_what_an_archiver_adds_is_ignored_and_other_files_are_known(tmp_path: Path):
    fill(tmp_path, cat=2, dog=2)
    for name in ("__MACOSX/cat/._0.jpg", "cat/__MACOSX/1.png", "cat/a.tiff", "dog/.DS_Store", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    world = read_folders(tmp_path)
    assert world.classes == ("cat", "dog")
    assert len(world.initial) + len(world.validation) == 4
    assert [path.name for path in other_files(tmp_path)] == ["a.tiff", "notes.txt"]


@pytest.mark.parametrize(
    ("spelt", "meant"),
    [
        ("tabby cat", "tabby cat"),
        ("tabby_cat", "tabby cat"),
        ("Tabby_Cat", "tabby cat"),
        ("dog", "dog"),
        ("Dog", "Dog"),
        ("DOG", None),
        ("a_b", "a_b"),
        ("giraffe", None),
        ("", None),
    ],
)
def test_a_class_is_meant_where_it_is_clear_which(spelt: str, meant: str | None):
    assert class_meant(spelt, ("tabby cat", "dog", "Dog", "a_b", "a b")) == meant


def test_each_class_has_a_folder_that_is_read_back_as_that_class():
    classes = (
        "cat",
        "tabby cat",
        "naïve",
        "é?*",
        ".hidden",
        "..",
        ".",
        "__MACOSX",
        "a/b",
        "a\\b",
        "../up",
        "Cat",
        "",
    )
    names = folder_names(classes)
    assert tuple(names) == classes
    assert len({name.casefold() for name in names.values()}) == len(classes)
    for name in names.values():
        assert Path(name).name == name
        assert not name.startswith(".")
        assert name != "__MACOSX"
    read = {label: class_name(name) for label, name in names.items()}
    changed = {"__MACOSX": "MACOSX", "a/b": "a-b", "a\\b": "a-b-", "../up": "..-up", "Cat": "Cat-"}
    assert read == {label: label for label in classes} | changed


def flat(tmp: Path) -> None:
    (tmp / "a.jpg").touch()


def empty_class(tmp: Path) -> None:
    fill(tmp, cat=3, dog=3)
    (tmp / "ship").mkdir()
    (tmp / "ship" / "notes.txt").touch()


def twins(tmp: Path) -> None:
    fill(tmp, polar_bear=2)
    fill(tmp, **{"polar bear": 2})


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (flat, {}, "has no sub-folders: make one for each class"),
        (lambda tmp: fill(tmp, cat=5), {}, r"has one class only \(cat\)"),
        (lambda tmp: fill(tmp, cat=5, dog=1, ship=1), {}, r"too few images of dog \(1\), ship \(1\)"),
        (empty_class, {}, "ship has no JPEG, PNG, WebP, GIF or BMP images"),
        (twins, {}, "two sub-folders for the class 'polar bear'"),
        (lambda tmp: fill(tmp, cat=5, dog=5), {"validation_share": 1.5}, "1.5 is not between 0 and 1"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence(make, options, says: str, tmp_path: Path):
    make(tmp_path)
    with pytest.raises(DesiderataError, match=says) as refused:
        read_folders(tmp_path, **options)
    assert str(refused.value).endswith(".")


def test_folders_that_do_not_go_together(tmp_path: Path):
    images = fill(tmp_path / "images", cat=2, dog=2)
    with pytest.raises(DesiderataError, match="is not a folder"):
        read_folders(tmp_path / "gone")
    with pytest.raises(DesiderataError, match=r"check has no sub-folder for 'cat'"):
        read_folders(images, validation=fill(tmp_path / "check", dog=1))
    with pytest.raises(DesiderataError, match=r"images has a sub-folder for 'cat' and none for 'CAT': spell"):
        read_folders(images, validation=fill(tmp_path / "upper", CAT=1, dog=1))
    with pytest.raises(DesiderataError, match=r"images has no sub-folder for 'ship'"):
        read_folders(images, test=fill(tmp_path / "test", cat=1, dog=1, ship=1))
