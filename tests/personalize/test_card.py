"""The card of an exported generator."""

import ast
from dataclasses import replace

import pytest

from desiderata.foundation.registry import locate
from desiderata.personalize.card import GeneratorCard
from desiderata.personalize.subject import Subject

BUNDLED = "moji-diffusion"


def card(form: str, base: str) -> GeneratorCard:
    subject = Subject.of("cat", setting="in a room")
    return GeneratorCard(form, subject, base, None, 4, 0, {}, {}, {"num_inference_steps": 2})


@pytest.mark.parametrize("form", ["lora", "embedding"])
def test_the_lines_of_a_card_name_a_base_that_can_be_loaded(form: str):
    lines = card(form, BUNDLED).usage("out")
    ast.parse(lines)
    assert f"from_pretrained(locate('{BUNDLED}'), torch_dtype=torch.float32)" in lines
    assert "scheduler" not in lines
    named: dict = {}
    exec("\n".join(line for line in lines.splitlines() if line.startswith("from desiderata")), named)
    assert named["locate"](BUNDLED) == locate(BUNDLED)
    assert 'from_pretrained("owner/model", torch_dtype=torch.float32)' in card(form, "owner/model").usage("out")


@pytest.mark.filterwarnings("ignore")  # of diffusers and transformers, about what is theirs
def test_the_base_that_a_card_loads_draws_with_plain_diffusers():
    lines = [line for line in card("lora", BUNDLED).usage("out").splitlines() if "load_lora" not in line]
    pipeline: dict = {}
    exec("\n".join(lines[:-1]), pipeline)
    pipeline["pipeline"].set_progress_bar_config(disable=True)
    drawn: dict = {}
    exec(f"drawn = {lines[-1]}", pipeline, drawn)
    assert drawn["drawn"].size == (64, 64)


def test_a_whole_pipeline_needs_nothing_but_diffusers():
    assert "desiderata" not in card("pipeline", BUNDLED).usage("out")


def test_a_card_tells_what_was_learnt_from():
    plain = card("pipeline", BUNDLED)
    for own, brought, says in (
        (0, 0, "from 4 reference pictures."),
        (3, 0, "from 4 reference pictures, then from 3 of its own."),
        (0, 2, "from 4 reference pictures, then from 2 brought for sentences that it asked about."),
        (3, 2, "then from 3 of its own and 2 brought for sentences that it asked about."),
    ):
        text = replace(plain, own=own, brought=brought).to_markdown()
        assert says in text
        assert f"- pictures brought for its questions: {brought}\n" in text
