"""`desiderata bench gains | product`: figures of the parts rather than of an experiment."""

from pathlib import Path
from typing import Annotated

import typer

from desiderata.cli.output import AsJson, show_json
from desiderata.threads import use_physical_cores


def gains(
    out: Annotated[Path, typer.Option(help="Folder of the result.")],
    seeds: Annotated[int, typer.Option(min=1, help="Heads in each situation.")] = 5,
    encoder: Annotated[str, typer.Option(help="A model's name, directory or hub id.")] = "moji-clip",
    json: AsJson = False,
) -> None:
    """Compare predicted gains of single examples with what refits with them really bring.

    JSON: agreements [{situation, seed, realised [...], predicted, spearman, error}, ...], the last
    three by prediction.
    """
    from desiderata.bench.gains import SITUATIONS, compare, write_agreements
    from desiderata.cli.progress import bar
    from desiderata.foundation.encoder import load_encoder

    use_physical_cores()
    clip, found = load_encoder(encoder), []
    with bar("Refitting", quiet=json) as progress:
        for situation in SITUATIONS:
            for seed in range(seeds):
                progress(len(found), len(SITUATIONS) * seeds, f"{situation.data}, {situation.n} points")
                found.append(compare(situation, seed, clip))
    text = write_agreements(found, out)
    if not json:
        print(text)
        return
    show_json({"agreements": [one.table() for one in found]})


def product(
    out: Annotated[Path, typer.Option(help="Folder of the result.")],
    demonstration: Annotated[bool, typer.Option("--demo/--no-demo", help="Run the demonstration, too.")] = True,
    json: AsJson = False,
) -> None:
    """Time the help, the demonstration, scenes and embeddings on this machine, and measure the memory.

    JSON: machine, help, scenes, embedding, demo (each with its figures; seconds, mebibytes, a second).
    """
    from desiderata.bench.product import measure, write_product
    from desiderata.cli.progress import bar

    use_physical_cores()
    with bar("Measuring", quiet=json) as progress:
        table = measure(demonstration=demonstration, progress=progress)
    text = write_product(table, out)
    if json:
        show_json(table)
        return
    print(text)
