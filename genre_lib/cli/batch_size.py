"""``genre batch-size``: how many clips a batch may have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genre_lib.cli.console import print_lines, print_table, say, write_text
from genre_lib.cli.finetune import Method, assignments, checked, possible, with_defaults
from genre_lib.cli.options import BaseModelOption, ListFormat, ListFormatOption, get_settings
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.training_batch import Fit, Tried

MIB = 2**20

BOUNDS = {
    "memory": "{largest}: {mib} MiB hold no more",
    "most": "{largest} or more; no more were asked for by --most",
    "none": "not even one: {mib} MiB are too little; try gradient_checkpointing=true, or method lora",
}


def batch_size(
    base_model: BaseModelOption = None,
    method: Annotated[Method | None, typer.Option(help="What learns; none: what suits the base model.")] = None,
    experiment: Annotated[Path | None, typer.Option("--file", "-f", help="An experiment's YAML; options win.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any field of it.")] = None,
    most: Annotated[int, typer.Option(min=1, max=65_536, help="Clips that are enough in any case.")] = 256,
    format_: ListFormatOption = ListFormat.table,
) -> None:
    """Find the batch size that fits the memory here, by real training steps with batches that grow."""
    from genre_lib import registry
    from genre_lib.imports import uncollected

    with uncollected("torch"):
        from genre_lib.training_batch import fit_batch
    from genre_lib.training_config import load_experiment

    settings = get_settings()
    fields = load_experiment(experiment) if experiment else {}
    fields |= assignments(set_ or [])
    fields |= {"method": method.value} if method else {}
    fields |= {"base_model": base_model} if base_model else {}
    if fields.get("init") != "scratch":
        fields["base_model"] = str(registry.base(fields.get("base_model"), settings).resolve())
    fields = fields if experiment else with_defaults(fields)
    config = possible(checked(fields, settings.notebooks_path / "02_finetune.ipynb"))
    found = fit_batch(config, most, tell)
    if format_ is ListFormat.json:
        write_text(json.dumps(as_json(found), indent=2) + "\n")
    else:
        show(found)


def tell(tried: Tried) -> None:
    say(f"{counted(tried.batch_size, 'clip')}: {tried.peak_bytes // MIB} MiB, {tried.clips_per_second:.2f} clips/s")


def show(found: Fit) -> None:
    """The table of what was tried, and what to do."""
    rows = [[str(row.batch_size), str(row.peak_bytes // MIB), f"{row.clips_per_second:.2f}"] for row in found.tried]
    print_table(["batch size", "peak MiB", "clips/s"], rows)
    mib = found.memory_bytes // MIB
    fits = BOUNDS[found.bound if found.largest else "none"].format(largest=found.largest, mib=mib)
    lines = {"fits": fits, "device": found.device}
    if found.largest:
        lines["use"] = f"--batch-size {found.batch_size} --set accumulate={found.accumulate}"
    print_lines(lines)


def as_json(found: Fit) -> dict[str, object]:
    return {
        "device": found.device,
        "memory_mib": found.memory_bytes // MIB,
        "largest": found.largest,
        "bound": found.bound,
        "batch_size": found.batch_size if found.largest else None,
        "accumulate": found.accumulate if found.largest else None,
        "tried": [
            {
                "batch_size": row.batch_size,
                "peak_mib": row.peak_bytes // MIB,
                "clips_per_second": round(row.clips_per_second, 3),
            }
            for row in found.tried
        ],
    }
