"""Fine-tuning jobs: submit, find, stop and resume them, and start those that wait.

There is no server behind this: the store is the folder ``settings.runs_path``, and a job is a folder in it (see
:mod:`genre_lib.job_folder`). Any number of processes may use it at once; what must not happen twice is done under the
store's own lock.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import subprocess
from collections import Counter
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from genre_lib import job_process, registry
from genre_lib.errors import JobConflict, JobNotFound, ModelExists, QueueFull
from genre_lib.job_folder import JobFolder, Request, State, only_one
from genre_lib.job_standing import STATUSES, Job, look, now
from genre_lib.settings import Settings

if TYPE_CHECKING:
    from genre_lib.data.catalogue import Catalogue

logger = logging.getLogger(__name__)

ID = re.compile(r"[0-9]{8}-[0-9]{6}-[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
"""What a job's id looks like: never a path elsewhere."""

Jobs = list[Job]


class JobStore:
    """All jobs below ``settings.runs_path``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.runs_path.expanduser().absolute()
        self._children: list[subprocess.Popen[bytes]] = []
        self._ended: dict[str, Job] = {}

    # --- looking

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            JobNotFound: there is none of that id.
        """
        job = look(self._folder(job_id), self.settings)
        if job is None:
            raise JobNotFound(f"There is no job {job_id[:200]!r}; GET /finetune or `genre jobs list` says which are.")
        return self._placed([job])[0] if job.status == "queued" else job

    def list(self) -> Jobs:
        """All jobs, the newest first."""
        return sorted(self._placed(self._jobs()), key=lambda job: (job.request.submitted, job.id), reverse=True)

    def counts(self) -> dict[str, int]:
        """How many jobs there are of each status, those without any included."""
        found = Counter(job.status for job in self._jobs())
        return {status: found[status] for status in STATUSES}

    def uses(self, model_name: str) -> bool:
        """Whether a job that waits or runs starts from this model."""
        return any(job.request.base_model == model_name for job in self._jobs() if not job.ended)

    def reserves(self, model_name: str) -> bool:
        """Whether a job that waits or runs will publish a model of this name."""
        return self._reserving(model_name) is not None

    def free_name(self, stem: str) -> str:
        """A model's name that neither a model nor a job has: ``stem``, or the first of ``stem-2``, ``stem-3`` …"""
        taken = {job.request.model_name for job in self._jobs() if not job.ended}
        taken |= {info.name for info in registry.list_models(self.settings)}
        stem = re.sub(r"[^A-Za-z0-9._]+", "-", stem).strip("-._")[:80] or "model"
        names = (f"{stem}{suffix}" for suffix in ("", *(f"-{number}" for number in range(2, len(taken) + 3))))
        return next(name for name in names if name not in taken)

    # --- changing

    def submit(
        self,
        parameters: dict[str, Any],
        name: str,
        *,
        base_model: str = "",
        asked: dict[str, Any] | None = None,
        catalogue: Catalogue | None = None,
    ) -> Job:
        """Put a job at the end of the queue, and start it if there is room.

        Args:
            parameters: of the fine-tuning notebook; the run's folder is added.
            name: of the model that comes of it.
            base_model: name of the model that it starts from.
            asked: the same in the client's words.
            catalogue: the tracks to train on, which are kept with the job; None: ``parameters`` name the music.

        Raises:
            ModelNameInvalid: the name is no model's name.
            ModelExists: there is a model of that name, or a job will make one.
            QueueFull: ``MAX_QUEUED_JOBS`` jobs wait already.
        """
        registry.check_name(name, self.settings)
        with self._alone():
            self._require_free(name)
            self._require_room()
            request = Request(parameters, name, base_model, asked or {}, now())
            folder = self._create(request, catalogue)
        self.start_queued()
        return self.get(folder.id)

    def stop(self, job_id: str) -> Job:
        """Take a job out of the queue, or ask its process to end; of one that has ended nothing changes.

        Raises:
            JobNotFound: there is none of that id.
        """
        with self._alone():
            job = self.get(job_id)
            if job.status == "queued":
                job.folder.write_state(job.state.but(status="stopped", ended=now()))
            elif job.status == "running":
                job.folder.ask_to_stop()
        return self.get(job_id)

    def resume(self, job_id: str) -> Job:
        """Put a job that was stopped or has failed into the queue again; it goes on after its last whole epoch.

        Raises:
            JobNotFound: there is none of that id.
            JobConflict: it is neither stopped nor failed.
            ModelExists: the name of its model was taken meanwhile.
            QueueFull: ``MAX_QUEUED_JOBS`` jobs wait already.
        """
        with self._alone():
            job = self.get(job_id)
            if job.status not in ("stopped", "failed"):
                raise JobConflict(f"Job {job.id} is {job.status}; only one that was stopped or has failed is resumed.")
            if not job_process.is_published(job.folder, job.request.model_name, self.settings):
                self._require_free(job.request.model_name)
            self._require_room()
            job.folder.forget_stop()
            began = job.state.started is not None
            job.folder.write_state(State("queued", queued=now(), attempt=job.state.attempt + began))
        self.start_queued()
        return self.get(job_id)

    def start_queued(self) -> None:
        """Start the jobs that wait longest, as many as ``MAX_JOBS`` leaves room for."""
        if not self.root.is_dir():
            return
        with self._alone():
            self._children = [child for child in self._children if child.poll() is None]
            jobs = self._jobs()
            room = self.settings.max_jobs - sum(job.status in ("running", "stopping") for job in jobs)
            for job in waiting(jobs)[: max(room, 0)]:
                self._start(job)

    # --- how

    def _alone(self) -> AbstractContextManager[None]:
        return only_one(self.root / ".jobs.lock")

    def _folder(self, job_id: str) -> JobFolder:
        return JobFolder(self.root / (job_id if ID.fullmatch(job_id) else "."))

    def _jobs(self) -> Jobs:
        """All jobs, in no order and without their places."""
        try:
            names = [name for name in os.listdir(self.root) if ID.fullmatch(name)]  # noqa: PTH208  (no Path for each)
        except OSError:
            return []
        return [job for job in map(self._remembered, names) if job is not None]

    def _remembered(self, name: str) -> Job | None:
        """The job; one that has ended is read again only where its state's file was replaced."""
        folder = JobFolder(self.root / name)
        try:
            seen = f"{name} {(folder.path / 'state.json').stat().st_mtime_ns}"
        except OSError:
            return None
        if seen not in self._ended:
            job = look(folder, self.settings)
            if job is None or not job.ended:
                return job
            self._ended[seen] = job
        return self._ended[seen]

    def _placed(self, jobs: Jobs) -> Jobs:
        """The same jobs, those that wait with their places."""
        places = {job.id: place for place, job in enumerate(waiting(self._jobs()), 1)}
        return [Job(job.folder, job.status, job.request, job.state, places.get(job.id)) for job in jobs]

    def _reserving(self, model_name: str) -> Job | None:
        return next((job for job in self._jobs() if not job.ended and job.request.model_name == model_name), None)

    def _require_free(self, name: str) -> None:
        if registry.check_name(name, self.settings).exists():
            raise ModelExists(f"There is a model {name} already; choose another model_name, or delete that one first.")
        job = self._reserving(name)
        if job is not None:
            raise ModelExists(f"Job {job.id} will publish a model {name}; choose another model_name, or stop that job.")

    def _require_room(self) -> None:
        jobs = self._jobs()
        would_start = sum(job.status in ("running", "stopping") for job in jobs) < self.settings.max_jobs
        if len(waiting(jobs)) >= self.settings.max_queued_jobs + would_start:
            raise QueueFull(
                f"{len(waiting(jobs))} jobs wait already, as many as MAX_QUEUED_JOBS allows; try again when one has "
                "ended, or stop one."
            )

    def _create(self, request: Request, catalogue: Catalogue | None) -> JobFolder:
        """The job's folder, whole or not at all."""
        job_id = f"{datetime.now():%Y%m%d-%H%M%S}-{request.model_name}-{secrets.token_hex(5)}"
        aside, place = JobFolder(self.root / f".{job_id}.new"), JobFolder(self.root / job_id)
        aside.path.mkdir(parents=True)
        try:
            if catalogue is not None:
                catalogue.write(aside.catalogue)
                request.parameters["data_path"] = str(place.catalogue)
            request.parameters["run_path"] = str(place.path)
            aside.write_request(request)
            aside.write_state(State("queued", queued=request.submitted))
            aside.path.rename(place.path)
        except BaseException:
            shutil.rmtree(aside.path, ignore_errors=True)
            raise
        return place

    def _start(self, job: Job) -> None:
        """Start the job's process, which holds the job's lock from before its first breath."""
        handle = job.folder.lock()
        if handle is None:
            return
        try:
            job_process.end_rest(job.folder)
            job.folder.write_state(job.state.but(status="running", started=now()))
            self._children.append(job_process.start(job.folder, handle, self.settings))
        except OSError as error:  # a full disk: it waits on; or no memory for a process: it is found dead
            logger.warning("job %s cannot be started: %s", job.id, error)
        finally:
            os.close(handle)


def waiting(jobs: Jobs) -> Jobs:
    """Those in the queue, the next one first."""
    return sorted((job for job in jobs if job.status == "queued"), key=lambda job: (job.state.queued, job.id))
