"""The concepts of the Moji world, their names in English, and the OpenMoji artworks that show them."""

from collections.abc import Mapping
from types import MappingProxyType

from desiderata.worlds.moji.scene import CLASSES

ARTWORKS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    concept: tuple(stems.split())
    for concept, stems in {
        # The ten classes: every artwork that most people would call by the name.
        "airplane": "2708 1F6E9 1F6EB 1F6EC",
        "automobile": "1F697 1F698 1F695 1F696 1F699 1F3CE 1F693 1F694",
        "bird": "1F426 1F426-200D-2B1B 1F54A E009 1F985 1F986 1F9A2 1FABF 1F989 1F9A4 1F9A9 1F99A 1F99C E010"
        " 1F427 1F413 1F414 1F983 1F424 1F425",
        "cat": "1F431 1F408 1F408-200D-2B1B 1F63A 1F638 1F63D 1F63E",
        "deer": "1F98C E003",
        "dog": "1F436 1F415 1F429 1F9AE 1F415-200D-1F9BA",
        "frog": "1F438",
        "horse": "1F434 1F40E 1F3A0 1F3C7",
        "ship": "26F5 1F6A4 26F4 1F6E5 1F6F3 1F6A2 1F6F6",
        "truck": "1F69A 1F69B 1F692 1F6FB",
        # The distractors.
        "apple": "1F34E 1F34F",
        "banana": "1F34C",
        "strawberry": "1F353",
        "watermelon": "1F349",
        "carrot": "1F955",
        "pumpkin": "1F383",
        "pizza": "1F355",
        "hamburger": "1F354",
        "cake": "1F382 1F370",
        "ice cream": "1F368 1F366",
        "cactus": "1F335",
        "sunflower": "1F33B",
        "rose": "1F339",
        "mushroom": "1F344 1F344-200D-1F7EB",
        "pineapple": "1F34D",
        "umbrella": "2602 2614 26F1",
        "guitar": "1F3B8",
        "violin": "1F3BB",
        "trumpet": "1F3BA",
        "drum": "1F941 1FA98",
        "book": "1F4D6 1F4DA",
        "scissors": "2702",
        "clock": "1F570 1F563 23F0",
        "candle": "1F56F E143",
        "key": "1F511 1F5DD",
        "lock": "1F512 1F513",
        "hammer": "1F528",
        "axe": "E347",
        "camera": "1F4F7 1F4F8",
        "television": "1F4FA",
        "telephone": "260E 1F4DE",
        "laptop": "1F4BB",
        "balloon": "1F388",
        "kite": "1FA81",
        "gift": "1F381",
        "crown": "1F451",
        "top hat": "1F3A9",
        "sneaker": "1F45F",
        "backpack": "1F392",
        "chair": "1FA91",
        "bed": "1F6CF",
        "door": "1F6AA",
        "house": "1F3E0",
        "castle": "1F3F0 1F3EF",
        "tent": "26FA",
        "bicycle": "1F6B2",
        "rocket": "1F680",
        "anchor": "2693",
        "bell": "1F514",
        "robot": "1F916",
        "soccer ball": "26BD",
        "basketball": "1F3C0",
        "elephant": "1F418",
        "giraffe": "1F992",
        "fish": "1F41F 1F420",
        "butterfly": "1F98B",
        "snowman": "26C4",
    }.items()
})  # fmt: skip
"""Concept -> the file stems of its artworks in OpenMoji, every one readable at 32 pixels."""

CONCEPTS: tuple[str, ...] = tuple(ARTWORKS)
"""What a picture of the Moji world shows: the words that the grammar, the renderer and the oracle share."""

DISTRACTORS: tuple[str, ...] = CONCEPTS[len(CLASSES) :]
"""Everything that is not one of the ten classes."""
