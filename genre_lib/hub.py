"""What lies on a model hub such as huggingface.co: looked up, and fetched so that it can go on where it stopped.

The only module that speaks to a hub, and only the ``download`` command does so. ``HF_ENDPOINT`` names another hub,
``HF_TOKEN`` an account, and ``HF_HUB_OFFLINE=1`` forbids all of it.

``huggingface_hub`` itself drops a half-fetched file when a fetch ends early (since its version 1.0), so the half is
kept here, and its own resuming reader is given the place where to go on.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, httpx
from huggingface_hub.utils import logging as hub_logging

from genre_lib.errors import (
    ConfigurationError,
    DownloadCorrupt,
    DownloadInterrupted,
    HubError,
    HubNotFound,
    HubRefused,
    HubUnreachable,
    first_line,
)
from genre_lib.remote_files import PART, RemoteFile, Snapshot, require_same, told_when_full

CONVERTER, CONVERSION = "SFconvertbot", "Adding `safetensors` variant of this model"
"""Who offers safetensors for a repository that has pickled weights alone, and under which title."""

WEB = re.compile(r"https?://[^/\s]", re.IGNORECASE)
"""How an address on the web begins."""

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
"""Endings of weights in other forms."""


class Hub:
    """A model hub.

    Args:
        endpoint: its address; None for ``HF_ENDPOINT``, or huggingface.co.

    Raises:
        ConfigurationError: it is no address on the web.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        if not WEB.match(self.endpoint):
            raise ConfigurationError(
                f"HF_ENDPOINT must begin with http:// or https://, as https://huggingface.co does, and is "
                f"{self.endpoint[:200]!r}."
            )
        self.api = HfApi(endpoint=self.endpoint, library_name="genre_lib")

    def snapshot(self, repo: str, revision: str = "main") -> Snapshot:
        """What a repository holds at a branch, tag or commit.

        Raises:
            HubNotFound, HubRefused, HubUnreachable.
        """
        with self._told(repo, revision):
            info = self.api.model_info(
                repo, revision=revision, files_metadata=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
            )
        files = {file.path: file for file in _files(info)}
        return Snapshot(repo, revision, str(info.sha), _licence(info), files)

    def conversion(self, snapshot: Snapshot) -> Snapshot | None:
        """The repository with its weights as safetensors, where the hub's own bot offers that and nobody merged it.

        An offer is taken as transformers takes it: an open pull request of that title, by that author, one commit on
        top of the repository's own. Whether that is still its newest one does not matter, as long as the pickled
        weights, which were converted, are the same byte for byte.

        Raises:
            HubNotFound, HubRefused, HubUnreachable.
        """
        with self._told(snapshot.repo, snapshot.revision):
            for offer in self.api.get_repo_discussions(
                snapshot.repo, author=CONVERTER, discussion_type="pull_request", discussion_status="open"
            ):
                if (offer.author, offer.title, offer.status) == (CONVERTER, CONVERSION, "open"):
                    found = self._offered(snapshot, f"refs/pr/{offer.num}")
                    if found is not None:
                        return found
        return None

    def read(self, snapshot: Snapshot, file: RemoteFile) -> bytes:
        """The content of a small file.

        Raises:
            HubUnreachable, DownloadInterrupted, DownloadCorrupt.
        """
        content = io.BytesIO()
        self._stream(snapshot, file, content, 0)
        require_same(file, content)
        return content.getvalue()

    def fetch(self, snapshot: Snapshot, file: RemoteFile, folder: Path) -> str:
        """Fetch a file into a folder, or the rest of it; what is there whole stays.

        Returns:
            The SHA-256 of its content.

        Raises:
            HubUnreachable, DownloadInterrupted, DiskFull: what came so far is kept.
            DownloadCorrupt: it is thrown away.
        """
        place = folder / file.path
        part = place.with_name(place.name + PART)
        if not place.is_file():
            with told_when_full(part), part.open("ab") as content:
                if content.tell() > file.size:
                    content.truncate(0)
                self._stream(snapshot, file, content, content.tell())
        with (place if place.is_file() else part).open("rb") as content:
            try:
                digest = require_same(file, content)
            except DownloadCorrupt:
                Path(content.name).unlink()
                raise
        if not place.is_file():
            part.replace(place)
        return digest

    def _offered(self, snapshot: Snapshot, reference: str) -> Snapshot | None:
        commits = [commit.commit_id for commit in self.api.list_repo_commits(snapshot.repo, revision=reference)]
        ours = {commit.commit_id for commit in self.api.list_repo_commits(snapshot.repo)}
        if len(commits) < 2 or commits[1] not in ours:
            return None
        offered = self.snapshot(snapshot.repo, commits[0])
        pickled = {path: file.sha256 for path, file in snapshot.files.items() if path.endswith(PICKLED)}
        if not pickled.items() <= {path: file.sha256 for path, file in offered.files.items()}.items():
            return None
        return Snapshot(snapshot.repo, reference, commits[0], snapshot.licence, offered.files)

    def _stream(self, snapshot: Snapshot, file: RemoteFile, content: Any, done: int) -> None:
        url = hf_hub_url(snapshot.repo, file.path, revision=file.commit, endpoint=self.endpoint)
        headers = build_hf_headers(library_name="genre_lib") | {"Accept-Encoding": "identity"}
        with self._told(snapshot.repo, file.commit, began=file.path):
            http_get(
                url,
                content,
                resume_size=done,
                headers=headers,
                expected_size=file.size,
                displayed_filename=file.path,
            )

    @contextmanager
    def _told(self, repo: str, revision: str, began: str = "") -> Iterator[None]:
        """Whatever the client raises, as one of our errors with a sentence.

        Args:
            began: a file that is being fetched, so that what came of it is kept.
        """
        verbosity = hub_logging.get_verbosity()
        hub_logging.set_verbosity_error()
        try:
            yield
        except OfflineModeIsEnabled as error:
            raise HubUnreachable(
                f"HF_HUB_OFFLINE is set, so {self.endpoint} is not asked for {repo}; unset it to download."
            ) from error
        except GatedRepoError as error:
            raise HubRefused(
                f"{repo} is gated: accept its terms at {self.endpoint}/{repo}, and set HF_TOKEN to a token of that "
                "account."
            ) from error
        except RevisionNotFoundError as error:
            raise HubNotFound(
                f"{repo} at {self.endpoint} has no revision {revision}; name a branch, a tag or a commit."
            ) from error
        except RepositoryNotFoundError as error:
            raise HubNotFound(
                f"{self.endpoint} shows no model {repo}; check its name, and set HF_TOKEN where it is private or gated."
            ) from error
        except HfHubHTTPError as error:
            raise self._refused(error, repo) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error, repo, began) from error
        except UnicodeEncodeError as error:
            raise HubRefused("HF_TOKEN holds letters that are in no token; copy it anew.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise HubUnreachable(
                f"{self.endpoint} does not answer as a hub does; HF_ENDPOINT should name one such as "
                "https://huggingface.co."
            ) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise DownloadInterrupted(_again(began, first_line(str(error)))) from error
        finally:
            hub_logging.set_verbosity(verbosity)

    def _refused(self, error: HfHubHTTPError, repo: str) -> HubError:
        status = error.response.status_code
        if status in (401, 403):
            return HubRefused(
                f"{self.endpoint} does not give {repo} to this account ({status}); set HF_TOKEN to a token that may "
                "read it."
            )
        if status == 404:
            return HubNotFound(f"{self.endpoint} has nothing at {error.response.url.path} (404); is it a hub?")
        return HubUnreachable(f"{self.endpoint} answers {status} for {repo}; try later, it goes on where it was.")

    def _unreachable(self, error: Exception, repo: str, began: str) -> HubError:
        # What h11 refuses to send it repeats, a token too.
        told = type(error).__name__ if isinstance(error, httpx.LocalProtocolError) else str(error)
        reason = first_line(told or type(error).__name__)
        if began:
            return DownloadInterrupted(_again(began, reason))
        return HubUnreachable(
            f"{self.endpoint} cannot be reached for {repo} ({reason}); check the connection, a proxy, or HF_ENDPOINT."
        )


def _again(path: str, reason: str) -> str:
    return f"{path} was not fetched whole ({reason}); run the command again, and it goes on where it was."


def _files(info: Any) -> Iterator[RemoteFile]:
    for sibling in info.siblings or []:
        sha256 = sibling.lfs.sha256 if sibling.lfs else ""
        yield RemoteFile(sibling.rfilename, int(sibling.size or 0), str(info.sha), sha256, sibling.blob_id or "")


def _licence(info: Any) -> str:
    card = info.card_data.to_dict() if info.card_data else {}
    said = card.get("license_name") or card.get("license") or ""
    return ", ".join(map(str, said)) if isinstance(said, list) else str(said)
