"""Music by MusicGen: of the right length, the same by the same seed, and drawn as the logits say."""

import csv
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, MusicgenForConditionalGeneration

from genre_lib import prompts
from genre_lib.cli import main
from genre_lib.errors import ConfigurationError, ModelInvalid, ModelNotFound
from genre_lib.generation import Clip, file_name, write
from genre_lib.models import untrained
from genre_lib.models.generator import Generator, _Draw
from genre_lib.prompts import prompt
from genre_lib.sampling import MAX_SECONDS, MIN_SECONDS, Sampling
from genre_lib.taxonomy import COARSE

RATE = 32_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained.make("musicgen", "tiny", tmp_path_factory.mktemp("musicgen") / "musicgen")


@pytest.fixture(scope="module")
def generator(folder: Path) -> Generator:
    return Generator.from_folder(folder)


# --- prompts ----------------------------------------------------------------------------------------------------------


def test_every_coarse_genre_has_prompts_of_its_own():
    table = prompts.read_table()
    assert set(table) == {*COARSE, prompts.ANY}
    for genre, several in table.items():
        assert len(set(several)) == len(several) >= 4, genre


def test_prompts_come_in_turn_and_names_in_any_spelling():
    jazz = prompts.read_table()["jazz"]
    assert [prompt("Jazz", number) for number in range(len(jazz) + 1)] == [*jazz, jazz[0]]
    assert prompt("Hip-Hop", 0) == prompt("hiphop", 0) and "hip hop" in prompt("hiphop", 0)
    assert prompt("R&B", 0) == prompt("rnb", 0)


def test_a_genre_that_the_table_lacks_is_named_in_the_prompt():
    several = {prompt("Bossa Nova", number) for number in range(20)}
    assert len(several) >= 4 and all("bossa nova" in one for one in several)
    with pytest.raises(ConfigurationError, match="needs a name"):
        prompt(" ", 0)


# --- making -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [MIN_SECONDS, 0.5, 1.013])
def test_a_clip_has_exactly_the_length(generator: Generator, seconds: float):
    (clip,) = generator.make(["slow jazz"], [0], seconds)
    assert clip.shape == (round(seconds * RATE),) and clip.dtype == np.float32
    assert np.isfinite(clip).all() and clip.std() > 0


def test_the_same_seed_makes_the_same_clip_whatever_is_made_beside_it(generator: Generator):
    heeded = Sampling(guidance_scale=30)  # or prompts say little to random weights
    alone = generator.make(["fast metal"], [7], 0.3, heeded)[0]
    beside = generator.make(["slow jazz", "fast metal", "fast metal"], [7, 7, 8], 0.3, heeded)
    np.testing.assert_allclose(beside[1], alone, atol=1e-6)
    assert np.abs(beside[2] - alone).max() > 1e-4, "another seed should make another clip"
    assert np.abs(beside[0] - alone).max() > 1e-4, "another prompt should make another clip"


def test_the_likeliest_codes_are_those_of_plain_transformers(folder: Path, generator: Generator):
    network = MusicgenForConditionalGeneration.from_pretrained(folder)
    text = AutoTokenizer.from_pretrained(folder)(["slow jazz"], return_tensors="pt")
    expected = network.generate(**text, do_sample=False, guidance_scale=3.0, max_new_tokens=28)
    (clip,) = generator.make(["slow jazz"], [3], 0.5, Sampling(guidance_scale=3.0, top_k=1))
    np.testing.assert_allclose(clip, expected[0, 0].detach().numpy(), atol=1e-6)
    assert len(clip) == 16_000


def test_codes_are_drawn_as_often_as_the_logits_say():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    seeds = list(range(4000))
    draw = _Draw(seeds, 1, Sampling(temperature=2.0, top_k=3))
    drawn = draw(torch.zeros(4000, 1), logits.expand(4000, 4)).argmax(-1)
    expected = np.exp([1.0, 0.5, 0.0]) / np.exp([1.0, 0.5, 0.0]).sum()
    shares = np.bincount(drawn.numpy(), minlength=4) / 4000
    assert shares[3] == 0
    # Four standard errors of a share of 4000 draws; the seeds are given, so that it holds once and for all.
    assert np.abs(shares[:3] - expected).max() < 4 * np.sqrt(0.25 / 4000)


def test_progress_counts_the_steps_of_all_batches(generator: Generator, tmp_path: Path):
    told: list[tuple[int, int]] = []
    clips = [Clip.of("jazz", seed, tmp_path / "new" / f"{seed}.wav") for seed in range(3)]
    write(generator, clips, 0.2, batch_size=2, progress=lambda done, total: told.append((done, total)))
    steps = 10 + 3  # frames, and the codebooks that lag behind the first
    assert told == [(done, 2 * steps) for done in range(1, 2 * steps + 1)]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["0.wav", "1.wav", "2.wav"]


@pytest.mark.parametrize("seconds", [0, -1, 0.0001, 0.099, MAX_SECONDS + 0.5, float("nan"), float("inf")])
def test_a_length_out_of_range_is_refused(generator: Generator, seconds: float):
    with pytest.raises(ConfigurationError, match=r"at least 0\.1 s and at most 30 s"):
        generator.make(["jazz"], [0], seconds)


@pytest.mark.parametrize(
    ("field", "value"), [("guidance_scale", 0.5), ("temperature", 0.0), ("temperature", float("nan")), ("top_k", 0)]
)
def test_sampling_out_of_range_is_refused(field: str, value: float):
    with pytest.raises(ConfigurationError, match=field):
        Sampling(**{field: value})


def test_what_makes_no_music_is_refused(folder: Path, tmp_path: Path):
    with pytest.raises(ModelNotFound):
        Generator.from_folder(tmp_path / "nowhere")
    hubert = untrained.make("hubert", "tiny", tmp_path / "hubert")
    with pytest.raises(ModelInvalid, match="hubert is a hubert, which makes no music"):
        Generator.from_folder(hubert)
    ast = untrained.make("ast", "tiny", tmp_path / "ast")
    with pytest.raises(ModelInvalid, match=r"ast is an audio-spectrogram-transformer, .* such as musicgen \("):
        Generator.from_folder(ast)
    mute = tmp_path / "mute"
    mute.mkdir()
    for name in ("config.json", "preprocessor_config.json", "model.safetensors", "generation_config.json"):
        (mute / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ModelInvalid, match="mute has no tokenizer"):
        Generator.from_folder(mute)


# --- the command ------------------------------------------------------------------------------------------------------


def read_wav(path: Path) -> tuple[int, int, bytes]:
    with wave.open(str(path), "rb") as file:
        return file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())


def test_the_command_writes_a_clip(folder: Path, generator: Generator, tmp_path: Path, capsys):
    place = tmp_path / "x.wav"
    command = ["generate", "--model", str(folder), "--genre", "jazz", "--seconds", "0.4", "--seed", "1"]
    assert main([*command, "--output", str(place)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{place}\n" and err == f"1 clip of 0.4 s at 32000 Hz: {prompt('jazz', 1)}.\n"
    rate, channels, content = read_wav(place)
    assert (rate, channels, len(content)) == (RATE, 1, 2 * 12_800)
    expected = generator.make([prompt("jazz", 1)], [1], 0.4)[0]
    assert content == np.round(np.clip(expected, -1, 1) * 32767).astype("<i2").tobytes()
    assert main([*command, "--output", str(place)]) == 2
    assert f"error: {place} is there already" in capsys.readouterr().err
    assert main([*command[:-1], "2", "--output", str(place), "--overwrite"]) == 0
    assert read_wav(place)[2] != content


def test_several_clips_go_into_a_folder(folder: Path, tmp_path: Path, capsys):
    command = ["generate", "--model", str(folder), "--prompt", "Bells & whistles", "--seconds", "0.1"]
    assert main([*command, "--count", "2", "--seed", "5", "--output", str(tmp_path / "many")]) == 0
    names = [file_name("Bells & whistles", seed) for seed in (5, 6)]
    assert names == ["bells_whistles-5.wav", "bells_whistles-6.wav"]
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == names
    assert capsys.readouterr().out.split() == [str(tmp_path / "many" / name) for name in names]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--genre or by --prompt"),
        (["--genre", "jazz", "--prompt", "jazz"], "not by both"),
        (["--prompt", " "], "--prompt is empty"),
        (["--genre", "jazz", "--seconds", "0"], "got 0"),
        (["--genre", "jazz", "--seconds", "0.0001"], "at least 0.1 s and at most 30 s"),
        (["--genre", "jazz", "--count", "2"], "With --count, --output is a folder; "),
        (["--genre", "jazz", "--seconds", "31"], "at most 30 s"),
        (["--genre", "jazz", "--temperature", "0"], "temperature should be above 0"),
        (["--genre", "jazz", "--output", "x.mp3"], "is a WAV"),
        (["--genre", "jazz", "--model", "nobody"], "There is no model 'nobody'"),
    ],
)
def test_what_cannot_be_is_one_sentence(folder: Path, tmp_path: Path, capsys, options: list[str], says: str):
    command = ["generate", "--model", str(folder), "--output", str(tmp_path / "x.wav"), *options]
    assert main(command) in (1, 2)
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_several_clips_go_into_no_file(folder: Path, tmp_path: Path, capsys):
    place = tmp_path / "jazz.wav"
    command = ["generate", "--model", str(folder), "--genre", "jazz", "--count", "2", "--output", str(place)]
    assert main(command) == 2
    assert capsys.readouterr().err == f"error: With --count, --output is a folder; {place} is named as a file.\n"
    place.write_bytes(b"kept")
    assert main([*command, "--overwrite"]) == 2
    assert capsys.readouterr().err == f"error: With --count, --output is a folder; {place} is a file.\n"
    assert place.read_bytes() == b"kept"


def test_what_is_wrong_with_the_command_is_told_before_what_is_there(folder: Path, tmp_path: Path, capsys):
    place = tmp_path / "x.wav"
    place.write_bytes(b"kept")
    for options, says in [
        (["--model", "nobody"], "There is no model 'nobody'"),
        (["--model", "genre_classifier"], "makes no music"),
        (["--model", str(folder), "--seconds", "-1"], "got -1"),
        (["--model", str(folder)], "is there already"),
    ]:
        assert main(["generate", "--genre", "jazz", "--output", str(place), *options]) in (1, 2)
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--genre", "jazz", "--output", "x.wav", "--seconds", "-1"],
        ["generate", "--genre", "jazz", "--output", "x.wav", "--temperature", "0"],
        ["generate", "--genre", "jazz", "--output", "x.wav", "--model", "nobody"],
        ["catalogue", "fill", "absent.csv", "--per-genre", "3", "--output", "x.csv"],
        ["catalogue", "fill", "synthetic", "--per-genre", "3", "--output", "x.csv", "--top-k", "0"],
    ],
)
def test_what_is_refused_at_once_imports_nothing_heavy(arguments: list[str], tmp_path: Path):
    code = f"import sys; from genre_lib.cli import main; print(main({arguments})); print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    code, *modules = done.stdout.split()
    assert code in ("1", "2") and len(done.stderr.splitlines()) == 1
    assert not set(modules) & {"torch", "transformers", "pandas", "av"}


def test_a_place_that_cannot_be_written_is_one_sentence(folder: Path, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "x.wav"
    assert main(["generate", "--model", str(folder), "--genre", "jazz", "--output", str(place)]) == 2
    assert f"--output {place} cannot be written" in capsys.readouterr().err


def test_the_table_of_prompts_can_be_opened_by_anyone():
    with prompts.TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["genre", "prompt"] and all(len(row) == 2 and all(row) for row in rows)
