"""``genre models download``: pretrained models from a model hub, the only command that fetches any."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from genre_lib.cli.console import say
from genre_lib.cli.options import get_settings
from genre_lib.errors import ConfigurationError

if TYPE_CHECKING:
    from genre_lib.download import Plan

HELP = "ast, distilhubert, hubert, wav2vec2, musicgen, or OWNER/REPOSITORY on the hub."


def download(
    names: Annotated[list[str], typer.Argument(help=HELP, metavar="NAME…")],
    name: Annotated[str, typer.Option(help="What the model is called here.", show_default="its short name")] = "",
    revision: Annotated[str, typer.Option(help="Branch, tag or commit; it is pinned to the commit.")] = "main",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of that name.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask in a terminal.")] = False,
) -> None:
    """Fetch pretrained models from the Hugging Face hub: AST, HuBERT, wav2vec 2.0 or MusicGen, as safetensors alone.

    Stopped at any point, it goes on where it was. HF_ENDPOINT names another hub, HF_TOKEN an account.
    """
    names = list(dict.fromkeys(names))
    if name and len(names) > 1:
        raise ConfigurationError(f"--name is what one model is called, and {len(names)} are asked for; fetch it alone.")
    from genre_lib import download
    from genre_lib.hub import Hub

    settings = get_settings()
    for wanted in names:  # all of them, before the hub is asked for the first
        download.place_for(wanted, settings, name=name, overwrite=overwrite)
    hub = Hub()
    plans = [
        download.plan(wanted, settings, hub, name=name, revision=revision, overwrite=overwrite) for wanted in names
    ]
    free = download.require_room(plans)
    for plan in plans:
        say(told(plan, free))
    wanted_plans = [plan for plan in plans if not plan.there]
    if wanted_plans and sys.stdin.isatty() and not yes:
        typer.confirm("Fetch?", default=True, abort=True)
    for plan in wanted_plans:
        place = download.download(plan, hub)
        print(f"{plan.name} is in {place}. {what_next(plan)}")


def told(plan: Plan, free: int) -> str:
    """What will be fetched, for whoever is asked."""
    from genre_lib.wording import counted, size_told

    snapshot, weights = plan.snapshot, plan.weights
    if plan.there:
        return f"{plan.name} is there already: {snapshot.repo} at {snapshot.commit}."
    licence = snapshot.licence or "none stated, ask its owner"
    lines = [
        f"{plan.name}: {snapshot.repo} at {snapshot.commit}",
        f"  licence: {licence}",
        f"  {counted(len(plan.files), 'file')}, {size_told(plan.size)}, to {plan.place} ({size_told(free)} free)",
    ]
    if plan.remaining < plan.size:
        lines.append(f"  {size_told(plan.remaining)} of it are still to come")
    if weights is not snapshot:
        lines.append(f"  weights: converted to safetensors by the hub's bot, {weights.revision} at {weights.commit}")
    return "\n".join(lines)


def what_next(plan: Plan) -> str:
    """The command that the model is for."""
    from genre_lib.networks.files import CONFIG, GENERATORS, read_json
    from genre_lib.registry import ENCODER, describe

    if describe(plan.place).kind != ENCODER:
        return f"genre predict --model {plan.name} song.mp3"
    tune = f"genre finetune --base-model {plan.name} --data-path MUSIC"
    if read_json(plan.place / CONFIG).get("model_type") in GENERATORS:
        return f"It makes music: genre generate --model {plan.name} --genre jazz --output x.wav; or hears it: {tune}"
    return f"It is an encoder without genres: {tune}"
