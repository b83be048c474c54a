"""A sheet of pictures."""

import numpy as np

from desiderata.report.sheet import LINE, sheet

RED, BLUE = (np.full((8, 8, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))


def test_pictures_lie_in_rows_and_what_is_missing_leaves_its_place():
    page = np.asarray(sheet([[RED, None], [BLUE]], 16))
    assert page.shape == (32, 32, 3)
    for corner, colour in (
        ((0, 0), (255, 0, 0)),
        ((0, 16), (0, 0, 0)),
        ((16, 0), (0, 0, 255)),
        ((16, 16), (0, 0, 0)),
    ):
        down, across = corner
        assert (page[down : down + 16, across : across + 16] == colour).all()


def test_titles_stand_above_their_rows():
    page = np.asarray(sheet([[RED], [BLUE]], 64, ["one", "two\nwords"], ["00"]))
    assert page.shape[0] == 2 * (64 + LINE) + LINE
    assert page.shape[1] > 64, "it is as wide as its longest title"
    assert (page[2 * LINE : 2 * LINE + 64, :64] == (255, 0, 0)).all()
    for top in (0, LINE, 2 * LINE + 64):
        assert page[top : top + LINE].min() < 200, "nothing is written there"


def test_letters_of_many_languages_are_drawn():
    pages = [np.asarray(sheet([[RED]], 64, [letter])) for letter in "éüñøßЖλ–□"]
    assert len({page.tobytes() for page in pages}) == len(pages)


def test_nothing_is_a_sheet_too():
    assert sheet([], 16).size == (0, 0)
