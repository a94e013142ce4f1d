"""Which batch fits the memory: by arithmetic, and by real steps of tiny networks."""

from __future__ import annotations

import json

import pytest

from genre_lib import cli, memory
from genre_lib.errors import ConfigurationError
from genre_lib.models import untrained
from genre_lib.settings import get_settings
from genre_lib.training_batch import Fit, Search, Tried, fit_batch, fitting
from genre_lib.training_config import TrainingConfig

START, CLIP = 1000, 50  # bytes of a network, and of each clip beside it


def grown(size: int) -> Tried:
    return Tried(size, START + CLIP * size, float(size))


@pytest.mark.parametrize(
    ("most_that_works", "most", "found", "bound"),
    [
        (100, 256, 96, "memory"),
        (5, 256, 5, "memory"),
        (1, 256, 1, "memory"),
        (500, 24, 24, "most"),
        (0, 8, 0, "memory"),
    ],
)
def test_a_wall_is_found_by_doubling_and_halving(most_that_works, most, found, bound):
    """100 lies between 64, which works, and 128; of the middles 96 works, and 112 and 104 do not."""
    search = Search(lambda size: grown(size) if size <= most_that_works else None, most)
    assert search.until_it_fails() == (found, bound)
    assert max(search.tried, default=0) == found


def test_as_many_clips_fit_as_the_line_says():
    tried = [grown(size) for size in (1, 2, 4)]
    assert fitting(tried, START + 10 * CLIP) == 10
    assert fitting(tried, START + 10 * CLIP - 1) == 9
    assert fitting(tried, START - 1) == 0
    assert (fitting(tried[:1], START + CLIP), fitting(tried[:1], START)) == (1, 0)


def test_without_a_wall_no_batch_is_tried_that_would_be_one():
    search = Search(grown, most=256)
    assert search.while_it_lasts(START + 10 * CLIP) == (10, "memory")
    assert sorted(search.tried) == [1, 2, 4, 8]
    assert Search(grown, most=6).while_it_lasts(START + 10 * CLIP) == (6, "most")


def test_batches_grow_on_where_their_memory_does_not_show():
    """The peak of a tiny network is the process's own, up or down by what was freed meanwhile."""
    search = Search(lambda size: Tried(size, START - size, 1.0), most=8)
    assert search.while_it_lasts(2 * START) == (8, "most")
    assert sorted(search.tried) == [1, 2, 4, 8]


def test_batches_that_take_too_long_are_not_tried():
    search = Search(grown, most=256)
    assert search.while_it_lasts(START + 100 * CLIP, seconds=0.0) == (100, "memory")
    assert sorted(search.tried) == [1, 2]


def test_the_smallest_that_is_fast_is_used_and_accumulates_to_a_step():
    speeds = {1: 5.0, 2: 9.0, 4: 9.8, 8: 10.0, 16: 30.0}
    tried = [Tried(size, 0, speed) for size, speed in speeds.items()]
    found = Fit(tried, largest=8, bound="memory", memory_bytes=0, clips_per_step=18)
    assert (found.batch_size, found.accumulate) == (4, 5)
    of_two = Fit(tried, largest=8, bound="memory", memory_bytes=0, clips_per_step=2)
    assert (of_two.batch_size, of_two.accumulate) == (2, 1)


@pytest.mark.parametrize("method", ["head", "lora", "full"])
def test_real_steps_are_taken(method, tmp_path):
    base = untrained.make("ast", "tiny", tmp_path / "ast", max_length=64)
    config = TrainingConfig(
        base_model=str(base), method=method, batch_size=4, accumulate=2, accelerator="cpu", clip_seconds=0.6
    )
    told: list[Tried] = []
    found = fit_batch(config, most=4, told=told.append)
    assert [row.batch_size for row in found.tried] == [1, 2, 4]
    assert sorted(told, key=lambda row: row.batch_size) == found.tried
    assert (found.largest, found.bound, found.clips_per_step) == (4, "most", 8)
    assert all(row.peak_bytes > 50 * 2**20 and row.clips_per_second > 0 for row in found.tried)
    assert found.batch_size * found.accumulate >= 8


def test_what_cannot_be_trained_is_told(tiny_model):
    with pytest.raises(ConfigurationError, match="take method='head' or method='full'"):
        fit_batch(TrainingConfig(base_model=str(tiny_model), method="lora"))


def test_there_is_memory():
    assert 2**26 < memory.available_bytes() < 2**45


def test_the_command(tmp_path, capsys):
    base = untrained.make("hubert", "tiny", tmp_path / "hubert")
    command = ["batch-size", "--base-model", str(base), "--method", "lora", "--most", "2", "--set", "accelerator=cpu"]
    assert cli.main(command) == 0
    said = capsys.readouterr()
    assert "clips/s" in said.out and "--batch-size" in said.out and "2 or more" in said.out
    assert said.err.startswith("1 clip: ") and "\n2 clips: " in said.err
    assert cli.main([*command, "--format", "json", "--set", "clip_seconds=1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["batch_size"] for row in found["tried"]] == [1, 2] and found["largest"] == 2
    assert cli.main([*command, "--set", "layer_decay=0.5"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: layer_decay is for method='full'."


def test_a_batch_norm_that_learns_needs_two_clips():
    """The starter's last ones have a number a clip; with its layers at rest one clip will do."""
    starter = {"base_model": str(get_settings().model_path), "clip_seconds": 1.0}
    assert [row.batch_size for row in fit_batch(TrainingConfig(**starter), most=4).tried] == [2, 4]
    assert [row.batch_size for row in fit_batch(TrainingConfig(**starter, freeze="backbone"), most=2).tried] == [1, 2]
    with pytest.raises(ConfigurationError, match="two clips"):
        fit_batch(TrainingConfig(**starter), most=1)
