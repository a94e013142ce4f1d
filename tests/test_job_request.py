from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib import job_request
from genre_lib.errors import (
    CatalogueInvalid,
    CatalogueNotFound,
    GenresUnknown,
    ModelNotFound,
    PathNotAllowed,
    TrainingSettingsInvalid,
)
from genre_lib.job_request import Prepared, checked, prepare
from genre_lib.settings import Settings, get_settings
from genre_lib.training_config import TrainingConfig, load_experiment
from genre_lib.training_defaults import HEAD


@pytest.fixture
def settings(tmp_path: Path, tiny_model: Path, synthetic_catalogue: Path) -> Settings:
    """Two roots: one with a link to the music, which lies in the other."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "music").symlink_to(synthetic_catalogue)
    roots = f"{tmp_path / 'links'}, {synthetic_catalogue.parent}"
    return get_settings(finetune_data_roots=roots, model_path=tiny_model, models_path=tmp_path / "models")


def prepared(settings: Settings, **asked: object) -> Prepared:
    return prepare(settings, **{"base_model": "tiny", **asked})  # type: ignore[arg-type]


def test_settings_come_under_the_notebooks_names():
    given = {"epochs": 3, "learning_rate": "1e-3", "augmentation": {"noise": 0.1}, "ema_decay": None}
    found = checked(given)
    assert (found["num_epochs"], found["learning_rate"], found["ema_decay"]) == (3, 0.001, None)
    assert found["augmentation"]["noise"] == 0.1 and set(found) == {"num_epochs", *given} - {"epochs"}
    assert checked({}) == {}


def test_every_public_setting_is_one_of_the_training():
    assert set(job_request.FIELDS.values()) < set(TrainingConfig.model_fields)
    private = {
        "base_model",
        "init",
        "data_path",
        "output_path",
        "overwrite",
        "run_path",
        "name",
        "resume",
        "cache_path",
    }
    assert not set(job_request.FIELDS.values()) & (private | {"devices", "accelerator", "wandb", "num_workers"})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"epoch": 3}, r"config\.epoch is no setting.*did you mean epochs\?"),
        ({"num_epochs": 3}, r"config\.num_epochs is no setting.*did you mean epochs\?"),
        ({"output_path": "/etc"}, r"config\.output_path is no setting"),
        ({"epochs": 0}, r"epochs: input should be greater than or equal to 1, and is 0"),
        ({"learning_rate": 2}, r"learning_rate: input should be less than or equal to 1, and is 2"),
        ({"method": "lora", "freeze": "front"}, "method='lora' and freeze='front' contradict each other"),
        ({"method": "lora", "lora_ranks": 4}, "config.lora_ranks is no setting .* did you mean lora_rank"),
        ({"freeze": "all"}, r"freeze: input should be 'none'.*, and is 'all'"),
        ({"gradient_clip": float("inf")}, r"must be finite"),
        ({"augmentation": {"noise": float("nan")}}, r"must be finite"),
        ({"augmentation": {"nois": 1}}, r"augmentation\.nois; did you mean noise\?"),
        ({"evaluation_strategy": "steps"}, r"'steps' needs eval_steps"),
        ({"learning_rate": "x" * 10_000}, r"learning_rate: .{0,1000}$"),
    ],
)
def test_bad_settings_are_named(config: dict, said: str):
    with pytest.raises(TrainingSettingsInvalid, match=said):
        checked(config)


def test_what_the_base_model_cannot_learn_is_refused(settings: Settings):
    with pytest.raises(TrainingSettingsInvalid, match=r"config: method='lora' adapts .* tiny \(genre_cnn\) has none"):
        prepared(settings, data_path="music", config={"method": "lora"})


@pytest.mark.parametrize(
    "asked",
    [
        {"data_path": "music"},
        {"catalogue": "music/catalogue"},
        {"catalogue": "music/catalogue.csv"},
        {"catalogue": "music"},
    ],
)
def test_music_is_found_below_the_roots(settings: Settings, asked: dict, synthetic_catalogue: Path):
    found = prepared(settings, **asked)
    assert len(found.catalogue) == 24 and found.base_model == "tiny"
    expected = {"base_model": str(settings.model_path), "init": "pretrained", "progress": False}
    assert found.parameters == load_experiment(HEAD) | expected
    whole = prepared(settings, data_path=str(synthetic_catalogue))
    assert whole.catalogue.genres == found.catalogue.genres


def test_what_lies_outside_is_refused_alike_whether_it_is_there(settings: Settings, tmp_path: Path):
    settings = settings.model_copy(update={"finetune_data_roots": (tmp_path / "links",)})
    (tmp_path / "links" / "out").symlink_to("/etc")
    (tmp_path / "links" / "loop").symlink_to("loop")
    bad = [
        "/etc",
        "/etc/passwd",
        "/absent",
        "../x",
        "music/../../x",
        "out",
        "out/passwd",
        "out/absent",
        "a\0b",
        "\ud800",
    ]
    said = set()
    for path in [*bad, "\ud800", "~", "~/x", "loop", "x/" * 3000, "x" * 300]:
        for field in ("data_path", "catalogue"):
            with pytest.raises((PathNotAllowed, CatalogueNotFound)) as raised:
                prepared(settings, **{field: path})
            if path in bad:
                assert isinstance(raised.value, PathNotAllowed)
                said.add(str(raised.value))
    assert len(said) == 2
    with pytest.raises(CatalogueNotFound, match="there is no 'absent'"):
        prepared(settings, data_path="absent")


def test_tracks_may_not_lead_outside(settings: Settings, tmp_path: Path, synthetic_catalogue: Path):
    (tmp_path / "links" / "evil.csv").write_text("path,genre\n/etc/passwd,rock\n/etc/absent,jazz\n")
    with pytest.raises(PathNotAllowed, match="2 of the catalogue's 2 tracks lie outside"):
        prepared(settings, catalogue="evil")
    track = next(synthetic_catalogue.rglob("*.wav"))
    (tmp_path / "links" / "linked.wav").symlink_to("/etc/passwd")
    (tmp_path / "links" / "half.csv").write_text(f"path,genre\n{track},rock\nlinked.wav,jazz\n")
    with pytest.raises(PathNotAllowed, match="1 of the catalogue's 2 tracks"):
        prepared(settings, catalogue="half")


def test_labels_choose_genres(settings: Settings):
    genres = prepared(settings, data_path="music").catalogue.genres
    assert prepared(settings, data_path="music", labels=[genres[0].upper(), genres[1]]).catalogue.genres == genres[:2]
    with pytest.raises(GenresUnknown, match=f"no tracks of polka; it has {', '.join(genres)}"):
        prepared(settings, data_path="music", labels=[genres[0], "polka"])
    with pytest.raises(CatalogueInvalid, match=f"two genres or more; got only {genres[0]}"):
        prepared(settings, data_path="music", labels=[genres[0], genres[0].upper()])


def test_music_that_cannot_be_split_is_refused_before_a_job_waits(settings: Settings, tmp_path: Path):
    (tmp_path / "links" / "x.wav").touch()
    (tmp_path / "links" / "few.csv").write_text("path,genre\nx.wav,a\ny.wav,b\n")
    with pytest.raises(CatalogueInvalid, match="tracks by 3 artists or more"):
        prepared(settings, catalogue="few")


def test_errors_say_nothing_of_where_the_roots_lie(settings: Settings, tmp_path: Path):
    (tmp_path / "links" / "one" / "rock").mkdir(parents=True)
    (tmp_path / "links" / "bad.csv").write_text("path\nx.wav\n")
    (tmp_path / "links" / "gone.csv").write_text("path,genre\nx.wav,a\ny.wav,b\n")
    for asked, said in [({"data_path": "one"}, "no audio"), ({"catalogue": "bad"}, "genre is missing")]:
        with pytest.raises(CatalogueInvalid, match=said) as raised:
            prepared(settings, **asked)
        assert str(tmp_path) not in str(raised.value)
    with pytest.raises(CatalogueInvalid, match="None of the 2 files"):
        prepared(settings, catalogue="gone")


def test_a_table_needs_no_files_where_nothing_is_heard(settings: Settings, tmp_path: Path):
    rows = "".join(f"t{n},{'ab'[n % 2]},artist {n},0.{n}\n" for n in range(8))
    (tmp_path / "links" / "songs.csv").write_text(f"path,genre,artist,energy\n{rows}")
    alone = {"features": "catalogue", "audio_dropout": 1}
    assert len(prepared(settings, catalogue="songs", config=alone).catalogue) == 8
    with pytest.raises(CatalogueInvalid, match="None of the 8 files"):
        prepared(settings, catalogue="songs", config={"features": "catalogue"})


def test_the_base_model_is_a_name(settings: Settings):
    for name in ("absent", "../tiny", str(settings.model_path)):
        with pytest.raises(ModelNotFound):
            prepared(settings, base_model=name, data_path="music")
    assert prepared(settings, base_model=None, data_path="music").base_model == "tiny"
