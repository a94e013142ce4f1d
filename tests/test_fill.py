"""Genres filled up with generated clips: marked so, made once, in train alone, and in no score."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_tone

from genre_lib import audio, evaluation, model_card, training_inputs
from genre_lib.cli import main
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_table import read
from genre_lib.data.check import check
from genre_lib.data.datamodule import TrackTable
from genre_lib.data.fill import Filling, fill, plan
from genre_lib.data.generated import are_generated, generator_of, rows_of
from genre_lib.data.splits import assign, require_splits
from genre_lib.errors import CatalogueInvalid, ConfigurationError
from genre_lib.models import untrained
from genre_lib.models.generator import Generator
from genre_lib.models.probe import Examples, Head
from genre_lib.prompts import prompt
from genre_lib.runs import Run
from genre_lib.sampling import Sampling
from genre_lib.training_config import TrainingConfig
from genre_lib.training_probe import _chosen_penalty

MADE = "generated:musicgen"
SECONDS = 0.2


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator.from_folder(untrained.make("musicgen", "tiny", tmp_path_factory.mktemp("m") / "musicgen"))


def catalogue(rows: list[tuple[str, str, str, str, str]]) -> Catalogue:
    return Catalogue(pd.DataFrame(rows, columns=["path", "genre", "artist", "split", "source"]))


def small(folder: Path = Path("/m")) -> Catalogue:
    """Three train tracks of rock and one of polka, and one of each in valid."""
    rows = [("rock", n, "train") for n in range(3)] + [
        ("polka", 0, "train"),
        ("rock", 3, "valid"),
        ("polka", 1, "valid"),
    ]
    return catalogue([(str(folder / f"{g}{n}.wav"), g, f"{g} {n}", split, "mine") for g, n, split in rows])


def planned(tracks: Catalogue, generator: Generator, folder: Path, per_genre: int = 3, **options) -> Filling:
    return plan(tracks, generator, per_genre, folder, SECONDS, options.pop("sampling", Sampling()), **options)


# --- filling ----------------------------------------------------------------------------------------------------------


def test_small_genres_are_filled_and_the_clips_marked(generator: Generator, tmp_path: Path):
    filling = planned(small(), generator, tmp_path, seed=5)
    assert filling.lacking == {"polka": 2} and len(filling.missing) == 2
    filled = fill(filling, generator, Sampling())
    assert len(filled) == 8
    added = filled.tracks[are_generated(filled.tracks["source"])]
    assert added[["genre", "split", "source", "artist"]].drop_duplicates().values.tolist() == [
        ["polka", "train", MADE, ""]
    ]
    assert added["seed"].tolist() == ["5", "6"]
    assert added["prompt"].tolist() == [prompt("polka", 5), prompt("polka", 6)]
    for path in added["path"]:
        assert Path(path).parent == tmp_path / "polka"
        heard = audio.load(path, 32_000)
        assert len(heard.waveform) == 6400
    assert filled.summary().loc[:, ["train", "generated"]].T.to_dict() == {
        "polka": {"train": 3, "generated": 2},
        "rock": {"train": 3, "generated": 0},
    }


def test_what_was_made_is_not_made_again(generator: Generator, tmp_path: Path):
    first = planned(small(), generator, tmp_path)
    filled = fill(first, generator, Sampling())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    Path(filled.tracks["path"].iloc[-1]).unlink()  # as if it had been stopped before this one
    again = planned(small(), generator, tmp_path)
    assert again.lacking == {"polka": 2} and [str(clip.path) for clip in again.missing] == [
        filled.tracks["path"].iloc[-1]
    ]
    assert fill(again, generator, Sampling()).tracks.equals(filled.tracks)
    kept = [path for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert len(before) == 2 and len(kept) == 1
    assert planned(filled, generator, tmp_path).lacking == {}, "a filled catalogue needs no more"


def test_more_of_them_go_on_where_the_first_ended(generator: Generator, tmp_path: Path):
    filled = planned(small(), generator, tmp_path).filled()
    more = planned(filled, generator, tmp_path, per_genre=5)
    assert {genre: [clip.seed for clip in clips] for genre, clips in more.clips.items()} == {
        "polka": [2, 3],
        "rock": [0, 1],
    }
    assert more.filled().tracks["path"].is_unique


def test_clips_that_are_drawn_otherwise_are_other_clips(generator: Generator, tmp_path: Path):
    one = planned(small(), generator, tmp_path)
    other = planned(small(), generator, tmp_path, sampling=Sampling(temperature=1.2))
    assert not {clip.path for clip in one.missing} & {clip.path for clip in other.missing}
    assert planned(small(), generator, tmp_path).missing == one.missing


def test_clips_that_the_catalogue_has_no_row_for_are_counted(generator: Generator, tmp_path: Path):
    first = planned(small(), generator, tmp_path)
    assert first.unused() == []
    fill(first, generator, Sampling())
    assert planned(small(), generator, tmp_path).unused() == []
    assert planned(small(), generator, tmp_path, per_genre=2).unused() == [first.clips["polka"][1].path]
    other = planned(small(), generator, tmp_path, sampling=Sampling(temperature=1.2))
    assert other.unused() == [clip.path for clip in first.clips["polka"]]


def test_a_folder_may_be_named_by_a_way_around(generator: Generator, tmp_path: Path):
    fill(planned(small(), generator, tmp_path / "x" / ".." / "clips"), generator, Sampling()).write(tmp_path / "t.csv")
    more = planned(read(tmp_path / "t.csv"), generator, tmp_path / "y" / ".." / "clips", per_genre=4)
    assert [clip.seed for clip in more.clips["polka"]] == [2] and more.unused() == []


def test_some_genres_alone_may_be_filled(generator: Generator, tmp_path: Path):
    assert planned(small(), generator, tmp_path, per_genre=4, genres=["rock"]).lacking == {"rock": 1}
    with pytest.raises(CatalogueInvalid, match="has no jazz; it has polka, rock"):
        planned(small(), generator, tmp_path, genres=["jazz"])


def test_tracks_without_splits_and_wrong_lengths_are_refused(generator: Generator, tmp_path: Path):
    with pytest.raises(CatalogueInvalid, match="tracks without a split"):
        planned(Catalogue(small().tracks.assign(split="")), generator, tmp_path)
    with pytest.raises(ConfigurationError, match="at most 30 s"):
        plan(small(), generator, 3, tmp_path, 40, Sampling())


# --- where they stand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "named"),
    [(MADE, "musicgen"), ("generated", ""), (" Generated:x", "x"), ("regenerated", None), ("", None), ("gtzan", None)],
)
def test_sources_that_name_a_generator(source: str, named: str | None):
    assert generator_of(source) == named


def test_splits_that_are_drawn_put_them_into_train_and_leave_the_others_alone():
    real = [(f"/m/{g}{n}.mp3", g, f"{g} {n}", "", "mine") for g in ("jazz", "rock") for n in range(10)]
    made = [(f"/m/made{n}.wav", "jazz", "", "", MADE) for n in range(30)]
    alone, mixed = assign(catalogue(real), seed=3), assign(catalogue(made[:15] + real + made[15:]), seed=3)
    split_of = dict(zip(mixed.tracks["path"], mixed.tracks["split"], strict=True))
    assert {split_of[path] for path, *_ in made} == {"train"}
    assert {path: split_of[path] for path, *_ in real} == dict(
        zip(alone.tracks["path"], alone.tracks["split"], strict=True)
    )
    # Generated clips are no artists: they do not make a genre large enough to be split.
    with pytest.raises(CatalogueInvalid, match="jazz has 2"):
        require_splits(catalogue(real[:2] + real[10:] + made))
    assert set(assign(catalogue(made)).tracks["split"]) == {"train"}


def test_the_check_names_them_where_they_are_scored(write_wav: Callable[..., Path], tmp_path: Path):
    rows = []
    for number, (split, source) in enumerate([("train", "mine"), ("train", MADE), ("valid", MADE), ("valid", "mine")]):
        tone = make_tone(2, 300 + 100 * number)
        rows += [
            (str(write_wav(tmp_path / f"{number}.wav", tone)), "rock", f"a{number}", split, source),
            (str(write_wav(tmp_path / f"{number}p.wav", tone[::2])), "polka", f"b{number}", split, source),
        ]
    report = check(catalogue(rows), decode=False)
    (finding,) = report.errors
    assert finding.kind == "generated_outside_train" and finding.severity == "error"
    assert "2 generated tracks in valid, first 2.wav" in finding.message
    assert [Path(path).name for path in finding.paths] == ["2.wav", "2p.wav"]
    with pytest.raises(CatalogueInvalid, match="2 generated tracks"):
        report.raise_if_errors()


def test_validation_and_test_are_without_them_whatever_the_table_says():
    tracks = small().tracks
    tracks.loc[4, "source"] = MADE
    wrong = Catalogue(tracks)
    assert wrong.split("valid").genres == ["polka"] and rows_of(wrong.tracks, "valid")["genre"].tolist() == ["polka"]
    assert len(training_inputs._tracks(wrong, "valid")) == 1 and len(training_inputs._tracks(wrong, "train")) == 4
    with pytest.raises(CatalogueInvalid, match="no tracks in the split 'valid'"):
        Catalogue(tracks.iloc[:5]).split("valid")


def test_no_score_counts_them(tiny_model: Path, synthetic_catalogue: Path):
    tracks = read(synthetic_catalogue / "catalogue.csv").tracks
    tracks["split"] = "train"
    real = Catalogue(tracks.iloc[::2])
    tracks.loc[1::2, "source"] = MADE
    for split in ("all", "train"):
        scored = evaluation.evaluate(tiny_model, Catalogue(tracks), split=split, device="cpu")
        alone = evaluation.evaluate(tiny_model, real, split=split, device="cpu")
        assert scored.metrics["tracks"] == len(real) == 12
        assert scored.metrics["accuracy"] == alone.metrics["accuracy"]
    with pytest.raises(CatalogueInvalid, match="All 12 tracks are generated"):
        evaluation.evaluate(tiny_model, Catalogue(tracks.iloc[1::2]), split="all", device="cpu")


def test_the_card_says_how_many_there_were(tiny_model: Path, synthetic_catalogue: Path):
    tracks = read(synthetic_catalogue / "catalogue.csv").tracks
    tracks.loc[tracks.index[tracks["split"] == "train"][:3], "source"] = MADE
    scored = evaluation.evaluate(tiny_model, Catalogue(tracks), split="valid", device="cpu")
    card = model_card.render(tiny_model, scored.metrics)
    assert "3 of the train tracks are generated; none was scored." in card
    assert "made from prompts by musicgen, for training alone" in card and "| 3 | 0 | 0 |" in card
    assert model_card.fair_use(scored.metrics["data"]) == {"kind": "research", "because": ["Generated clips"]}


def test_they_have_no_say_in_how_strongly_a_head_is_held(tmp_path: Path):
    rng = np.random.default_rng(0)
    real = [(f"/m/{n}.mp3", ("jazz", "rock")[n % 2], f"artist {n}", "train", "mine") for n in range(20)]
    made = [(f"/m/made{n}.wav", "jazz", "", "train", MADE) for n in range(8)]
    targets = np.array([n % 2 for n in range(20)] + [0] * 8)
    values = torch.from_numpy(rng.normal(size=(28, 4)) + targets[:, None])
    values[20:] *= 100  # clips that are nothing like music
    start = Head(torch.zeros(2, 4).double(), torch.zeros(2).double())
    chosen = []
    for rows in (real, real + made):
        size, run = len(rows), Run.create(tmp_path, "probe")
        examples = Examples(values[:size], torch.tensor(targets[:size]), torch.ones(size).double())
        table = TrackTable([row[0] for row in rows], targets[:size], [row[4] for row in rows], np.ones(size, np.int64))
        penalty = _chosen_penalty(TrainingConfig(), examples, start, catalogue(rows), table, run)
        chosen.append((penalty, list(run.events())[-1]["losses"]))
    assert chosen[0] == chosen[1]


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_fills_a_catalogue_and_goes_on_where_it_stopped(
    generator: Generator, tmp_path: Path, monkeypatch, capsys, tmp_path_factory
):
    models = tmp_path_factory.mktemp("models")
    monkeypatch.setenv("MODELS_PATH", str(models))
    untrained.make("musicgen", "tiny", models / "musicgen")
    small(tmp_path / "music").write(tmp_path / "tracks.csv")
    command = ["catalogue", "fill", str(tmp_path / "tracks.csv"), "--seconds", "0.2", "--per-genre", "3"]
    output = tmp_path / "filled.csv"
    assert main([*command, "--output", str(output)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "2 clips of 0.2 s to add (polka 2).",
        f"8 tracks: {output}.",
    ]
    filled = read(output)
    assert filled.tracks["source"].tolist() == ["mine"] * 6 + [MADE] * 2
    assert {Path(path).parent for path in filled.tracks["path"][6:]} == {tmp_path / "filled_generated" / "polka"}
    assert "filled_generated/polka/polka-0-" in output.read_text(), "paths should be told from the table's folder"
    assert main([*command, "--output", str(output)]) == 0
    assert "2 clips of 0.2 s to add (polka 2); 2 of them are there already." in capsys.readouterr().err
    place = tmp_path / "filled_generated"
    (place / "polka" / "mine.wav").write_bytes(b"no clip of ours")
    assert main([*command, "--output", str(output), "--seconds", "0.3"]) == 0
    assert capsys.readouterr().err.splitlines()[-2:] == [
        f"8 tracks: {output}.",
        f"2 clips in {place} are not used by it, being drawn otherwise or for another.",
    ]
    assert main([*command[:2], str(output), *command[3:], "--output", str(tmp_path / "more.csv")]) == 0
    assert "no clip is added" in capsys.readouterr().err


def test_what_is_there_is_replaced_only_where_it_was_made_so(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("MODELS_PATH", str(tmp_path / "models"))
    untrained.make("musicgen", "tiny", tmp_path / "models" / "musicgen")
    source, output, music = tmp_path / "tracks.csv", tmp_path / "filled.csv", tmp_path / "music"
    small(music).write(source)
    before = source.read_bytes()
    command = ["catalogue", "fill", str(source), "--seconds", "0.2", "--per-genre", "2", "--output"]
    assert main([*command, str(source), "--overwrite"]) == 2 and source.read_bytes() == before
    assert "is the catalogue that is filled up; choose another." in capsys.readouterr().err
    tracks = small(music).tracks
    for other in ("a letter to a friend\n", tracks.assign(genre="jazz").to_csv(), tracks.iloc[1:].to_csv()):
        output.write_text(other)
        assert main([*command, str(output)]) == 2 and output.read_text() == other
        assert "is not what this command made of these tracks; choose another, or say" in capsys.readouterr().err
    assert main([*command, str(output), "--overwrite"]) == 0 and len(read(output)) == 7
    assert main([*command[:-2], "3", "--output", str(output)]) == 0 and len(read(output)) == 8


def test_a_catalogue_that_is_not_there_is_told_by_its_name(tmp_path: Path, capsys):
    absent = tmp_path / "absent.csv"
    assert main(["catalogue", "fill", str(absent), "--per-genre", "3", "--output", str(tmp_path / "out.csv")]) != 0
    assert capsys.readouterr().err.startswith(f"error: There is nothing at {absent}; CATALOGUE takes a folder")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--per-genre", "0"], "per-genre"),
        (["--per-genre", "3", "--seconds", "99"], "at most 30 s"),
        (["--per-genre", "3", "--model", "nobody"], "There is no model 'nobody'"),
        (["--per-genre", "3", "--model", "genre_classifier"], "makes no music"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, capsys, options: list[str], says: str):
    small(tmp_path / "music").write(tmp_path / "tracks.csv")
    assert main(["catalogue", "fill", str(tmp_path / "tracks.csv"), "--output", str(tmp_path / "out.csv"), *options])
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out.csv").exists()
