"""Downloads from a hub on this machine, through the hub's own client."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer, Repo, files_of, serving, sha256
from huggingface_hub import constants

from genre_lib import download, registry
from genre_lib.errors import (
    ConfigurationError,
    DiskFull,
    DownloadBusy,
    DownloadCorrupt,
    DownloadInterrupted,
    HubModelUnsuitable,
    HubNotFound,
    HubRefused,
    HubUnreachable,
    ModelExists,
    ModelInvalid,
    ModelNameInvalid,
)
from genre_lib.hub import Hub
from genre_lib.models import untrained
from genre_lib.settings import Settings, get_settings

HUBERT = "facebook/hubert-base-ls960"


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Files of a tiny HuBERT and of a tiny MusicGen with random weights, in the hub's own form."""
    folder = tmp_path_factory.mktemp("published")
    return {name: files_of(untrained.make(name, "tiny", folder / name)) for name in ("hubert", "musicgen")}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, published: dict[str, dict[str, bytes]]):
    """A hub with a HuBERT, its pickled weights and its author's code beside."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # the tests are offline, but for this machine
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # as much as 10 MB is of a real one
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving() as hub:
        repo = hub.repos[HUBERT] = Repo(card={"license": "apache-2.0"})
        repo.commit(
            {**published["hubert"], "pytorch_model.bin": b"\x80\x02pickled", "modeling.py": b"raise SystemExit"}
        )
        yield hub


@pytest.fixture
def hub(server: HubServer) -> Hub:
    return Hub(server.url)


@pytest.fixture
def settings(tmp_path: Path, tiny_model: Path) -> Settings:
    return get_settings(models_path=tmp_path / "models", model_path=tiny_model)


def fetch(settings: Settings, hub: Hub, wanted: str = "hubert", **options) -> Path:
    return download.download(download.plan(wanted, settings, hub, **options), hub)


def left(settings: Settings) -> list[str]:
    """What lies in the models' folder."""
    return sorted(path.name for path in settings.models_path.iterdir()) if settings.models_path.is_dir() else []


def weights(server: HubServer, repo: str = HUBERT) -> bytes:
    return server.repos[repo].commits[server.repos[repo].refs["main"][0]]["model.safetensors"]


# --- what comes of a good one


def test_a_short_name_becomes_a_model_with_its_source(server, hub, settings, published):
    place = fetch(settings, hub)
    assert place == (settings.models_path / "hubert").resolve() and left(settings) == ["hubert"]
    wanted = ["config.json", "preprocessor_config.json", "model.safetensors"]
    assert files_of(place).keys() == {*wanted, "source.json"}
    assert all((place / name).read_bytes() == published["hubert"][name] for name in wanted)
    source = json.loads((place / "source.json").read_text())
    commit = server.repos[HUBERT].refs["main"][0]
    assert (source["repo"], source["revision"], source["commit"]) == (HUBERT, "main", commit)
    assert source["licence"] == "apache-2.0" and source["weights"]["commit"] == commit
    assert source["files"] == [
        {"path": name, "size": len(published["hubert"][name]), "sha256": sha256(published["hubert"][name])}
        for name in wanted
    ]


def test_neither_pickles_nor_code_are_asked_for(server, hub, settings):
    fetch(settings, hub)
    assert set(server.fetched()) == {"config.json", "preprocessor_config.json", "model.safetensors"}


def test_what_came_is_what_transformers_reads(hub, settings):
    from transformers import AutoFeatureExtractor, AutoModel

    place = fetch(settings, hub)
    assert type(AutoModel.from_pretrained(place)).__name__ == "HubertModel"
    assert AutoFeatureExtractor.from_pretrained(place).sampling_rate == 16000


def test_musicgen_comes_with_its_words(server, hub, settings, published):
    server.repos["facebook/musicgen-small"] = Repo()
    server.repos["facebook/musicgen-small"].commit({**published["musicgen"], "state_dict.bin": b"pickled"})
    place = fetch(settings, hub, "musicgen")
    needed = {"config.json", "preprocessor_config.json", "model.safetensors", "generation_config.json"}
    assert files_of(place).keys() == needed | {"tokenizer.json", "tokenizer_config.json", "source.json"}


def test_weights_in_shards_come_with_their_index(server, hub, settings, tmp_path):
    from transformers import HubertModel

    folder = untrained.make("hubert", "tiny", tmp_path / "whole")
    network = HubertModel.from_pretrained(folder)
    network.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    shards = {name: data for name, data in files_of(tmp_path / "shards").items() if "safetensors" in name}
    assert len(shards) > 2
    files = {name: data for name, data in files_of(folder).items() if name != "model.safetensors"}
    server.repos["ann/sharded"] = Repo()
    server.repos["ann/sharded"].commit({**files, **shards})
    place = fetch(settings, hub, "ann/sharded")
    loaded = HubertModel.from_pretrained(place)
    assert all((loaded.state_dict()[name] == value).all() for name, value in network.state_dict().items())
    broken = json.loads(shards["model.safetensors.index.json"])
    broken["weight_map"] |= {"more": "../elsewhere.safetensors"}
    index = {"model.safetensors.index.json": json.dumps(broken).encode()}
    server.repos["ann/sharded"].commit({**files, **shards, **index})
    with pytest.raises(HubModelUnsuitable, match="names files which it lacks"):
        fetch(settings, hub, "ann/sharded", name="other")


def test_a_branch_is_pinned_to_its_commit_before_anything_is_fetched(server, hub, settings, published):
    repo = server.repos[HUBERT]
    old = repo.refs["main"][0]
    config = json.loads(published["hubert"]["config.json"]) | {"final_dropout": 0.5}
    files = {**published["hubert"], "config.json": json.dumps(config).encode()}
    planned = download.plan("hubert", settings, hub)
    repo.commit(files)
    place = download.download(planned, hub)  # main has moved on meanwhile
    assert (place / "config.json").read_bytes() == published["hubert"]["config.json"]
    assert registry.source_of(place)["commit"] == old
    assert fetch(settings, hub, name="new").joinpath("config.json").read_bytes() == files["config.json"]
    named = fetch(settings, hub, name="old", revision=old)
    assert registry.source_of(named)["revision"] == old


def test_a_commit_that_is_there_is_not_fetched_again(server, hub, settings):
    fetch(settings, hub)
    server.asked.clear()
    planned = download.plan("hubert", settings, hub)
    assert planned.there and download.download(planned, hub) == (settings.models_path / "hubert").resolve()
    assert server.fetched() == ["config.json"]


def test_another_model_of_that_name_is_replaced_only_when_told_so(server, hub, settings, published):
    registry.publish(settings.model_path, "hubert", settings)
    with pytest.raises(ModelExists, match="--overwrite"):
        fetch(settings, hub)
    assert server.asked == [], "a name that is taken is known without the hub"
    fetch(settings, hub, overwrite=True)
    assert registry.find("hubert", settings).kind == "encoder"


def test_a_newer_commit_of_the_repository_takes_no_name_either(server, hub, settings, published):
    old = registry.source_of(fetch(settings, hub))["commit"]
    server.repos[HUBERT].commit({**published["hubert"], "README.md": b"newer"})
    with pytest.raises(ModelExists, match="--overwrite"):
        fetch(settings, hub)
    assert download.plan("hubert", settings, hub, revision=old).there


# --- weights that the hub's bot converted


def without_safetensors(published) -> dict[str, bytes]:
    files = {name: data for name, data in published["hubert"].items() if name != "model.safetensors"}
    return {**files, "pytorch_model.bin": b"\x80\x02pickled"}


def test_the_conversion_of_the_hubs_bot_is_taken_from_its_pull_request(server, hub, settings, published):
    repo = server.repos["ann/pickled"] = Repo()
    main = repo.commit(without_safetensors(published))
    offered = repo.offer({"model.safetensors": published["hubert"]["model.safetensors"], "config.json": b"{}"})
    place = fetch(settings, hub, "ann/pickled")
    assert (place / "model.safetensors").read_bytes() == published["hubert"]["model.safetensors"]
    assert (place / "config.json").read_bytes() == published["hubert"]["config.json"]  # the owner's, not the offer's
    source = registry.source_of(place)
    assert source["commit"] == main and source["weights"] == {"revision": "refs/pr/1", "commit": offered}
    repo.commit({**without_safetensors(published), "README.md": b"the same weights"})
    assert download.plan("ann/pickled", settings, hub, name="again").weights.commit == offered


@pytest.mark.parametrize(
    "wrong",
    [{"author": "mallory"}, {"title": "Better weights"}, {"status": "closed"}],
    ids=["author", "title", "closed"],
)
def test_an_offer_of_anybody_else_is_not(server, hub, settings, published, wrong):
    repo = server.repos["ann/pickled"] = Repo()
    repo.commit(without_safetensors(published))
    repo.offer({"model.safetensors": published["hubert"]["model.safetensors"]}, **wrong)
    with pytest.raises(HubModelUnsuitable, match=r"pytorch_model.bin\); pickled weights can hold code"):
        fetch(settings, hub, "ann/pickled")
    assert set(server.fetched()) == {"config.json"}


def test_an_offer_made_of_other_weights_is_not(server, hub, settings, published):
    repo = server.repos["ann/pickled"] = Repo()
    repo.commit(without_safetensors(published))
    repo.offer({"model.safetensors": published["hubert"]["model.safetensors"]})
    repo.commit({**without_safetensors(published), "pytorch_model.bin": b"\x80\x02trained for longer"})
    with pytest.raises(HubModelUnsuitable, match="no weights as safetensors"):
        fetch(settings, hub, "ann/pickled")


# --- what goes wrong


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"config.json": b'{"model_type": "bert"}'}, "family 'bert', and only AST, HuBERT, wav2vec 2.0, MusicGen"),
        ({"config.json": b"{}"}, "family None"),
        ({"config.json": b"[1]"}, "family None"),
        ({"config.json": b"<html>"}, "config.json that is no JSON"),
        ({"README.md": b"a data set"}, "holds no config.json"),
        ({"config.json": b'{"model_type": "hubert"}', "model.safetensors": b"x"}, "lacks preprocessor_config.json"),
    ],
)
def test_what_is_no_model_of_these_families_is_refused_before_its_weights(server, hub, settings, files, says):
    server.repos["ann/other"] = Repo()
    server.repos["ann/other"].commit(files)
    with pytest.raises(HubModelUnsuitable, match=says):
        fetch(settings, hub, "ann/other")
    assert set(server.fetched()) <= {"config.json"} and left(settings) == []


def test_weights_that_are_no_safetensors_are_not_published(server, hub, settings, published):
    server.repos["ann/broken"] = Repo()
    server.repos["ann/broken"].commit({**published["hubert"], "model.safetensors": b"\xff" * 400})
    with pytest.raises(HubModelUnsuitable, match="cannot be read as safetensors"):
        fetch(settings, hub, "ann/broken")
    assert [info.name for info in registry.list_models(settings)] == ["genre_classifier", "tiny"]


@pytest.mark.parametrize("wanted", ["gpt", "../models", "https://huggingface.co/facebook/x", "a/b/c", "", "a/../b"])
def test_what_names_no_repository(settings, hub, wanted):
    with pytest.raises(ConfigurationError, match="neither a short name"):
        download.plan(wanted, settings, hub)


def test_names_that_no_model_can_have(settings, hub):
    with pytest.raises(ModelNameInvalid):
        download.plan("hubert", settings, hub, name="../up")
    for name, whose in (("genre_classifier", "starter"), (settings.model_path.name, "MODEL_PATH")):
        with pytest.raises(ModelExists, match=whose):
            download.plan("hubert", settings, hub, name=name)


def test_no_such_repository_or_revision(hub, settings):
    with pytest.raises(HubNotFound, match="shows no model ann/nothing"):
        fetch(settings, hub, "ann/nothing")
    with pytest.raises(HubNotFound, match="no revision v9"):
        fetch(settings, hub, revision="v9")


def test_private_and_gated_repositories(server, hub, settings, monkeypatch):
    server.repos[HUBERT].token = "secret"
    with pytest.raises(HubNotFound, match="set HF_TOKEN"):
        fetch(settings, hub)
    monkeypatch.setenv("HF_TOKEN", "secret")
    fetch(settings, hub)
    assert {asked["token"] for asked in server.asked if "/resolve/" in asked["path"]} == {"secret"}
    server.repos[HUBERT].gated = True
    with pytest.raises(HubRefused, match="accept its terms at http"):
        fetch(settings, hub, name="other")
    for server.status in (401, 403):
        with pytest.raises(HubRefused, match="token that may read it"):
            fetch(settings, hub, name="other")


def test_the_token_goes_to_the_hub_alone(server, hub, settings, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    server.elsewhere = True
    fetch(settings, hub)
    tokens = {asked["path"].split("/")[1]: asked["token"] for asked in server.asked}
    assert tokens == {"api": "secret", "facebook": "secret", "content": ""}


def test_a_hub_that_does_not_answer(server, settings, monkeypatch):
    server.status = 503
    with pytest.raises(HubUnreachable, match="answers 503"):
        fetch(settings, Hub(server.url))
    server.status = 200  # an empty object: a page of a hotel's, say
    with pytest.raises(HubUnreachable, match="does not answer as a hub does"):
        fetch(settings, Hub(server.url))
    with pytest.raises(HubUnreachable, match="cannot be reached"):
        fetch(settings, Hub("http://127.0.0.1:9"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachable, match="HF_HUB_OFFLINE is set"):
        fetch(settings, Hub(server.url))
    assert left(settings) == []


@pytest.mark.parametrize("endpoint", ["foo", "ftp://foo", "//foo", "https://", "http:///x"])
def test_a_hub_is_an_address_on_the_web(endpoint, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(ConfigurationError, match=r"HF_ENDPOINT must begin with http:// or https://.* and is '"):
        Hub()


def test_what_answers_404_to_everything_and_what_no_header_can_hold(server, hub, settings, monkeypatch):
    server.status = 404
    with pytest.raises(HubNotFound, match=r"has nothing at /api/models/.*\(404\)"):
        fetch(settings, hub)
    monkeypatch.setenv("HF_TOKEN", "schlüssel")
    with pytest.raises(HubRefused, match="HF_TOKEN holds letters") as caught:
        fetch(settings, hub)
    assert "schl" not in str(caught.value)


@pytest.mark.parametrize("revision", ["", "a b", "-x", "x" * 300])
def test_what_names_no_revision(settings, hub, revision):
    with pytest.raises(ConfigurationError, match="--revision is a branch, a tag or a commit"):
        fetch(settings, hub, revision=revision)


@pytest.mark.parametrize("ignores_range", [False, True], ids=["ranges", "no ranges"])
def test_an_interrupted_download_goes_on_where_it_was(server, hub, settings, ignores_range):
    server.cut_after, server.cuts, server.broken_after = 1000, 1, 503
    with pytest.raises(HubUnreachable, match="goes on where it was"):
        fetch(settings, hub)
    assert left(settings) == [".downloads"]
    assert [info.name for info in registry.list_models(settings)] == ["genre_classifier", "tiny"]
    server.broken_after, server.ignores_range = 0, ignores_range
    planned = download.plan("hubert", settings, hub)
    assert planned.remaining == len(weights(server)) - 1000
    server.asked.clear()
    place = download.download(planned, hub)
    ranges = [asked["range"] for asked in server.asked if asked["path"].startswith("/content/")]
    assert ranges == ["bytes=1000-"]
    assert (place / "model.safetensors").read_bytes() == weights(server) and left(settings) == ["hubert"]


def test_a_connection_that_is_reset_is_told(server, hub, settings):
    server.cut_after, server.cuts, server.resets = 1000, 9, True
    with pytest.raises(DownloadInterrupted, match=r"model.safetensors was not fetched whole \(.*\); run the command"):
        fetch(settings, hub)
    server.cuts = 0
    assert (fetch(settings, hub) / "model.safetensors").read_bytes() == weights(server)


def test_a_connection_that_ends_once_is_taken_up_again_at_once(server, hub, settings):
    server.cut_after, server.cuts = 1000, 1
    assert (fetch(settings, hub) / "model.safetensors").read_bytes() == weights(server)


def test_what_came_wrong_is_thrown_away(server, hub, settings):
    server.corrupt = True
    with pytest.raises(DownloadCorrupt, match="is not what the hub says"):
        fetch(settings, hub)
    assert not list(settings.models_path.rglob("model.safetensors*"))
    server.corrupt = False
    assert fetch(settings, hub).is_dir()


def test_no_room_is_told_before(hub, settings):
    planned = download.plan("hubert", settings, hub)
    assert planned.size == sum(file.size for file in planned.files) == planned.remaining
    huge = download.Plan("x", planned.snapshot, planned.weights, (download.RemoteFile("x", 10**18, ""),), planned.place)
    with pytest.raises(DiskFull, match="make room"):
        download.require_room([huge])
    assert download.require_room([planned]) > planned.size


def test_two_at_once(server, hub, settings):
    planned = download.plan("hubert", settings, hub)
    with download._alone(planned), pytest.raises(DownloadBusy, match="Another process"):
        download.download(planned, hub)
    assert download.download(planned, hub).is_dir()


# --- an encoder without genres, wherever it is met


def test_an_encoder_is_listed_as_one_and_predicts_nothing(hub, settings):
    from genre_lib.inference import load_model

    place = fetch(settings, hub)
    info = registry.find("hubert", settings)
    assert (info.kind, info.genres) == ("encoder", []) and info.parameters > 0
    assert info.source["repo"] == HUBERT
    for refused in (lambda: load_model(place), lambda: registry.promote("hubert", settings)):
        with pytest.raises(
            ModelInvalid, match="hubert is an encoder without genres; fine-tune it first: genre finetune"
        ):
            refused()
    assert registry.active(settings) == settings.model_path.resolve()


# --- the command


def command(
    server: HubServer,
    settings: Settings,
    *arguments: str,
    file_bytes: int = 0,
    stdin: int = subprocess.DEVNULL,
    **environment: str,
):
    """Run ``genre models`` in a process of its own."""

    def limited() -> None:
        if file_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    places = {"MODELS_PATH": str(settings.models_path), "MODEL_PATH": str(settings.model_path)}
    return subprocess.run(
        [sys.executable, "-m", "genre_lib.cli", "models", *arguments],
        env=inherited | places | {"HF_ENDPOINT": server.url} | environment,
        capture_output=True, text=True, preexec_fn=limited, cwd=settings.models_path.parent, stdin=stdin,
    )  # fmt: skip


def is_sentence(done: subprocess.CompletedProcess, code: int, says: str) -> bool:
    """One line, beginning with ``error:``, and the exit code; no traceback."""
    lines = done.stderr.splitlines()
    return (
        done.returncode == code
        and says in lines[-1]
        and lines[-1].startswith("error: ")
        and "Traceback" not in done.stderr
    )


def test_the_command_tells_what_it_fetches_and_what_to_do_with_it(server, settings):
    done = command(server, settings, "download", "hubert")
    commit = server.repos[HUBERT].refs["main"][0]
    assert done.returncode == 0, done.stderr
    assert f"hubert: {HUBERT} at {commit}\n  licence: apache-2.0\n  3 files, " in done.stderr
    assert done.stdout == (
        f"hubert is in {settings.models_path / 'hubert'}. It is an encoder without genres: "
        "genre finetune --base-model hubert --data-path MUSIC\n"
    )
    shown = command(server, settings, "show", "hubert").stdout
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert lines["source"] == f"{HUBERT} at {commit}" and lines["licence"] == "apache-2.0"
    assert (lines["kind"], lines["genres"]) == ("encoder", "–") and "engine" not in lines
    assert (
        json.loads(command(server, settings, "show", "hubert", "--format", "json").stdout)["source"]["commit"] == commit
    )
    again = command(server, settings, "download", "hubert")
    assert again.returncode == 0 and "is there already" in again.stderr and again.stdout == ""


def test_the_command_ends_in_a_sentence_and_leaves_nothing_half(server, settings):
    assert is_sentence(command(server, settings, "download", "hubert", HF_HUB_OFFLINE="1"), 1, "HF_HUB_OFFLINE is set")
    assert is_sentence(command(server, settings, "download", "ann/nothing"), 1, "shows no model ann/nothing")
    assert is_sentence(command(server, settings, "download", "nothing"), 2, "neither a short name")
    assert is_sentence(command(server, settings, "download"), 2, "Missing argument")
    assert is_sentence(command(server, settings, "download", "hubert", HF_ENDPOINT="foo"), 2, "must begin with http")
    assert is_sentence(command(server, settings, "download", "hubert", "ast", "--name", "x"), 2, "--name is what one")
    assert is_sentence(
        command(server, settings, "download", "hubert", HF_ENDPOINT="http://127.0.0.1:9"), 1, "cannot be reached"
    )
    full = command(server, settings, "download", "hubert", file_bytes=9000)
    assert is_sentence(full, 1, "is full (File too large); make room") and left(settings) == [".downloads"]
    assert command(server, settings, "download", "hubert").returncode == 0 and left(settings) == ["hubert"]


@pytest.mark.parametrize(("answer", "code", "files"), [("n", 130, []), ("y", 0, ["hubert"])])
def test_in_a_terminal_it_asks_first(server, settings, answer, code, files):
    terminal, its_end = os.openpty()
    os.write(terminal, f"{answer}\n".encode())
    done = command(server, settings, "download", "hubert", stdin=its_end)
    assert done.returncode == code and "Fetch? [Y/n]" in done.stdout and left(settings) == files
    assert "licence: apache-2.0" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="a small disk can be mounted by root alone")
def test_a_full_disk(server, hub, settings):
    settings.models_path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", settings.models_path], check=False)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        planned = download.plan("hubert", settings, hub)
        with pytest.raises(DiskFull, match="has room for"):
            download.require_room([planned])
        with pytest.raises(DiskFull, match="is full"):
            download.download(planned, hub)
        assert [info.name for info in registry.list_models(settings)] == ["genre_classifier", "tiny"]
    finally:
        subprocess.run(["umount", settings.models_path], check=True)
