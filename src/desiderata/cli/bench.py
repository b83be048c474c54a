"""`desiderata bench`: the papers' experiments."""

from pathlib import Path
from typing import Annotated

import typer

from desiderata.cli.bench_figures import gains, product
from desiderata.cli.output import AsJson, show_json
from desiderata.cli.panels import in_panels
from desiderata.errors import DesiderataError
from desiderata.threads import use_physical_cores


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Run the papers' experiments.")
    group.command("collect")(collect)
    group.command("personalize")(personalize)
    group.command("personalize-speed")(personalize_speed)
    group.command("gains")(gains)
    group.command("product")(product)
    app.add_typer(group, name="bench")


def collect(
    out: Annotated[Path, typer.Option(help="Folder of the results; the same command goes on where it stopped.")],
    world: Annotated[str, typer.Option(help="Where the data come from: moji.")] = "moji",
    setting: Annotated[str, typer.Option(help="iid, narrow or shifted; several with commas; all.")] = "all",
    methods: Annotated[str, typer.Option(help="Strategies, with commas between; all.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="How many runs of each.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of ten queries in each run.")] = 50,
    test: Annotated[int, typer.Option(min=1, help="Test pictures of each class.")] = 500,
    encoder: Annotated[str, typer.Option(help="A model's name, directory or hub id.")] = "moji-clip",
    processes: Annotated[int, typer.Option(min=1, help="Runs at a time, each on one core.")] = 1,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="First answer the recorded sentences of results from earlier versions, for what they lack.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Compare strategies on learning curves, with intervals over seeds.

    Table and curves are written beside the results, unless there are others than these.

    JSON: cells [{method, setting, seed, curve [[examples, test accuracy], ...]}, ...], zero_shot, ceiling, alike (as
    many pictures like the test's, added at random) and with_validation (initial and validation pictures, no query) by
    setting.
    """
    _check_world(world)
    from desiderata.bench.collect import Plan, lines_of_reference, results_beside, run_plan
    from desiderata.bench.replay import replay
    from desiderata.bench.summary import table, write_summary
    from desiderata.bench.world import Sizes
    from desiderata.cli.progress import bar, spinner
    from desiderata.collect.strategies import STRATEGIES
    from desiderata.worlds.moji.settings import SETTINGS

    use_physical_cores()
    plan = Plan(
        _listed(setting, tuple(SETTINGS)),
        _listed(methods, tuple(STRATEGIES)),
        seeds,
        rounds,
        encoder,
        Sizes(test=test),
    )
    with spinner("Measuring zero-shot and ceiling", quiet=json):
        reference = lines_of_reference(plan, out)
    with bar("Running", quiet=json) as progress:
        if again:
            replay(plan, out, progress)
        results = run_plan(plan, out, processes, progress)
    beside = results_beside(plan, out)
    text = table(results, reference) if beside else write_summary(results, reference, out)
    if json:
        keys = ("method", "setting", "seed", "curve")
        show_json(
            {
                "cells": [{key: result[key] for key in keys} for result in results],
                "zero_shot": {name: lines["zero_shot"] for name, lines in reference.items()},
                "ceiling": {name: lines["ceiling"] for name, lines in reference.items()},
                "alike": {name: lines["alike"] for name, lines in reference.items()},
                "with_validation": {name: lines["with_validation"] for name, lines in reference.items()},
            }
        )
        return
    print(text)
    if beside:
        print(f"{out} has {beside} results more; its table and curves, which are of them all, are as they were.")
        return
    print(f"Raw figures, table and curves are in {out}.")


PANELS = {
    "What a run learns": ("steps", "learning_rate", "recipe", "trainer", "class_pictures", "prior"),
    "What is drawn": ("samples", "prompts", "pictures"),
    "Models": ("model", "encoder", "judge", "adapter", "device", "half"),
    "Ablations": ("ablation", "values"),
}
"""Options of `bench personalize` by what they are about; "Options" has the plan."""


@in_panels(PANELS)
def personalize(
    out: Annotated[Path, typer.Option(help="Folder of the results; the same command goes on where it stopped.")],
    subjects: Annotated[
        str,
        typer.Option(
            help="Held-out subjects and styles, with commas; experiment, development, all, objects, styles."
        ),
    ] = "experiment",
    strategies: Annotated[str, typer.Option(help="Strategies, with commas between; all.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="How many runs of each.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="100 for what is reported, less while developing.")] = 100,
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds of each run; the first learns the references alone.")
    ] = 4,
    processes: Annotated[int, typer.Option(min=1, help="Subjects at a time, each on one core.")] = 1,
    found: Annotated[
        bool,
        typer.Option("--found", help="Run nothing: tables of what is there, of seeds that have all the subjects."),
    ] = False,
    steps: Annotated[int, typer.Option(min=0, help="Steps of every training; 0 for those of each trainer.")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0, help="Of the strategies' trainer; 0 for the usual.")] = 0,
    recipe: Annotated[
        str, typer.Option(help="What a step of the strategies' trainer is: usual, or published, as the authors' is.")
    ] = "usual",
    trainer: Annotated[str, typer.Option(help="dreambooth or dreambooth-lora.")] = "dreambooth",
    class_pictures: Annotated[int, typer.Option(min=-1, help="For prior preservation; -1 for the usual.")] = -1,
    prior: Annotated[
        str,
        typer.Option(help="Weight of class pictures: full, or published, that of the picture each is paired with."),
    ] = "",
    samples: Annotated[int, typer.Option(min=1, help="m, pictures drawn for each direction.")] = 10,
    prompts: Annotated[int, typer.Option(min=1, max=20, help="Test prompts.")] = 20,
    pictures: Annotated[int, typer.Option(min=1, help="Pictures for each test prompt.")] = 4,
    model: Annotated[str, typer.Option(help="A generator's name, directory or hub id.")] = "moji-diffusion",
    encoder: Annotated[str, typer.Option(help="A CLIP model's name, directory or hub id.")] = "moji-clip",
    judge: Annotated[str, typer.Option(help="A judge network's name or directory.")] = "moji-judge",
    adapter: Annotated[
        str, typer.Option(help="The IP-Adapter trained for the generator; the bundled one has its own.")
    ] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    half: Annotated[
        bool, typer.Option("--half", help="Compute in bfloat16; faster where there are units for it.")
    ] = False,
    ablation: Annotated[
        str, typer.Option(help="Turn one setting: lambda, anchors, k, m, sets, prior, learning-rate, pace, scale.")
    ] = "",
    values: Annotated[str, typer.Option(help="Only these values of it, with commas between; all.")] = "all",
    json: AsJson = False,
) -> None:
    """Compare strategies by which a generator chooses what to learn from, over subjects and seeds.

    Tables and figures are written beside the results, unless there are others than these: --found writes those of
    all.

    JSON: cells [{strategy, subject, kind, seed, variant, rounds [{txt_aln, img_aln, ovf, identity, held_out, ...},
    ...]}, ...].
    """
    from desiderata.bench.personalize import Plan, found_cells, results_beside, run_plan
    from desiderata.bench.personalize_subjects import named
    from desiderata.bench.personalize_summary import summary, write_summary
    from desiderata.bench.personalize_task import FOLLOWED, METHODS
    from desiderata.bench.personalize_variants import Settings, variants
    from desiderata.cli.progress import bar
    from desiderata.personalize.recipes import ADAPTERS

    use_physical_cores()
    adapter = adapter or ADAPTERS.get(model, "")
    settings = Settings(
        model=model,
        encoder=encoder,
        judge=judge,
        adapter=adapter,
        trainer=trainer,
        steps=steps or None,
        recipe=recipe,
        prior=prior or None,
        learning_rate=learning_rate or None,
        class_pictures=None if class_pictures < 0 else class_pictures,
        samples=samples,
        pictures=pictures,
        prompts=prompts,
        half=half,
        device=device,
    )
    every = tuple(name for name in METHODS if adapter or name != "ip-adapter")
    turning = ("ip-adapter",) if ablation == "scale" else (FOLLOWED,)
    wanted = turning if ablation and strategies == "all" else _listed(strategies, every)
    turned = variants(ablation, settings, () if values == "all" else _listed(values, ()))
    _check_found(found, ablation)
    plan = Plan(named(_listed(subjects, ("all",))), wanted, seeds, rounds, turned, first_seed)
    with bar("Running", quiet=json or found) as progress:
        results = found_cells(plan, out) if found else run_plan(plan, out, processes, progress)
    beside = 0 if found or ablation else results_beside(plan, out)  # every ablation has files of its own
    text = summary(results, ablation) if beside else write_summary(results, out, ablation)
    if json:
        keys = ("strategy", "subject", "kind", "seed", "variant", "rounds")
        show_json({"cells": [{key: result[key] for key in keys} for result in results]})
        return
    print(text)
    if strategies == "all" and not (adapter or ablation):
        print("ip-adapter was left out: give --adapter the directory of one that was trained for the generator.")
    if beside:
        print(
            f"{out} has {beside} results more; its tables and drawings are as they were: the same command with all "
            "subjects and strategies, the number of seeds and --found makes them anew."
        )
        return
    print(f"Raw figures, tables and drawings are in {out}.")


def personalize_speed(
    out: Annotated[Path, typer.Option(help="Folder of the result.")],
    model: Annotated[str, typer.Option(help="A generator's name, directory or hub id.")] = "moji-diffusion",
    encoder: Annotated[str, typer.Option(help="A CLIP model's name, directory or hub id.")] = "moji-clip",
    random_sd14: Annotated[
        bool, typer.Option("--random-sd14", help="Random models of the shapes of SD 1.4 and CLIP ViT-B/32.")
    ] = False,
    steps: Annotated[int, typer.Option(min=0, help="Steps of training; 0 for as many as suit the model.")] = 0,
    samples: Annotated[int, typer.Option(min=1, help="m, pictures drawn for each of the 18 directions.")] = 10,
    precision: Annotated[str, typer.Option(help="Of our schedule: bfloat16 or float32.")] = "bfloat16",
    batch: Annotated[int, typer.Option(min=0, help="Pictures we draw at a time; 0 as the model says.")] = 0,
    autocast: Annotated[
        bool, typer.Option("--autocast", help="Let the authors' schedule draw in half precision, too.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json: AsJson = False,
) -> None:
    """Time one round of learning, drawing and judging by our schedule and by the authors', one picture at a time.

    JSON: model, device, threads, steps, learnt, drawn, denoising, size, precision, autocast, ours {learning, asking},
    authors {learning, asking} in seconds, ratio.
    """
    from desiderata.bench.personalize_speed import measure, models, write_speed
    from desiderata.cli.progress import bar

    use_physical_cores()
    generator, clip = models(model, encoder, device, random_sd14=random_sd14)
    with bar("Running", quiet=json) as progress:
        speed = measure(
            generator,
            clip,
            steps=steps or None,
            samples=samples,
            precision=precision,
            batch=batch or None,
            autocast=autocast,
            progress=progress,
        )
    table = write_speed(speed, out)
    if json:
        show_json(table)
        return
    print(speed.text())


def _check_found(found: bool, ablation: str) -> None:
    if found and ablation:
        raise DesiderataError("--found does not go with --ablation, whose variants need the same runs: leave it out.")


def _check_world(name: str) -> None:
    if name != "moji":
        raise DesiderataError(f"There is no benchmark on the world {name!r}: the one there is, is moji.")


def _listed(names: str, every: tuple[str, ...]) -> tuple[str, ...]:
    return every if names == "all" else tuple(name.strip() for name in names.split(",") if name.strip())
