"""`hydra/launcher=local_jobs` and `hydra/launcher=slurm`: submitit's jobs, on this machine or by SLURM."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from genrelab import environment, jobs, sweep

try:
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import LocalLauncher, SlurmLauncher
except ImportError:  # their extra is not installed
    pass
else:

    class _Submitted(jobs.Checked):
        """Waits for every job, whatever becomes of the others; submitit's launcher leaves at the first that fails."""

        _EXECUTOR: str
        params: dict[str, Any]
        config: Any

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
            from hydra.core.singleton import Singleton

            batch = jobs.Batch(self.config, job_overrides, initial_job_idx)
            batch.folder.mkdir(parents=True, exist_ok=True)
            n, where = self._place(batch)
            made = Singleton.get_state()
            numbers = range(initial_job_idx, initial_job_idx + len(batch))
            asked = [(own, "hydra.sweep.dir", k, "", made) for own, k in zip(batch.typed, numbers, strict=True)]
            todo, done = deque(enumerate(asked)), {}
            at_work: dict[int, Any] = {}
            executor = self._executor()
            with batch.watched(n, where):
                try:
                    while todo or at_work:
                        while todo and len(at_work) < n:
                            some = [todo.popleft() for _ in range(min(len(todo), n - len(at_work)))]
                            started = self._submit(executor, list(zip(*(words for _, words in some), strict=True)))
                            at_work |= dict(zip([i for i, _ in some], started, strict=True))
                        for i, job in list(at_work.items()):
                            if job.done():
                                done[i] = self._ended(batch, i, at_work.pop(i))
                        time.sleep(jobs.POLL_S)
                except BaseException:
                    self._end(batch, at_work)
                    raise
            return [done[i] for i in range(len(batch))]

        def _place(self, batch: jobs.Batch) -> tuple[int, str]:
            """How many are submitted at once, and where; shares out the threads."""
            raise NotImplementedError

        def _end(self, batch: jobs.Batch, at_work: Mapping[int, Any]) -> None:
            """Ends jobs, each with time to end its run."""
            raise NotImplementedError

        def _submit(self, executor: Any, asked: Sequence[Any]) -> Sequence[Any]:
            made: Sequence[Any] = executor.map_array(self, *asked)
            return made

        def _executor(self) -> Any:
            """submitit's, with the parameters of the yaml: those of every queue by their name, others with its own."""
            import submitit
            from omegaconf import OmegaConf

            own = {k: v for k, v in self.params.items() if k not in ("submitit_folder", "max_num_timeout")}
            times = {k: v for k, v in self.params.items() if k == "max_num_timeout"}
            shared = set(OmegaConf.structured(BaseQueueConf).keys())
            made = submitit.AutoExecutor(
                self.params["submitit_folder"],
                cluster=self._EXECUTOR,
                **{f"{self._EXECUTOR}_{k}": v for k, v in times.items()},
            )
            made.update_parameters(**{k if k in shared else f"{self._EXECUTOR}_{k}": v for k, v in own.items()})
            return made

        @staticmethod
        def _ended(batch: jobs.Batch, i: int, job: Any) -> Any:
            from submitit.core.utils import FailedJobError, UncompletedJobError

            if batch.row(i) is not None:
                return batch.returned(i)
            try:
                return job.results()[0]  # of several processes of one training the first
            except FailedJobError as error:  # before or after the run: its trace, between two lines of dashes
                return batch.lost(i, str(error).strip().split("\n---")[-2].splitlines()[-1].strip()[:300])
            except UncompletedJobError:
                return batch.lost(i, f"{jobs.GONE} (state: {job.state}, log: {job.paths.stderr})")

    class LocalJobs(_Submitted, LocalLauncher):
        """On this machine: submitit would start all at once, here so many as it can hold."""

        def _place(self, batch: jobs.Batch) -> tuple[int, str]:
            n = min(environment.at_once(self.config.jobs, self.params["mem_gb"]), len(batch))
            batch.share(n)
            return n, "here"

        def _submit(self, executor: Any, asked: Sequence[Any]) -> Sequence[Any]:
            """An interrupt is for the runs, which let it through, and not for submitit's processes above them: those
            would end at once, with a trace, and kill what is below."""
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                return super()._submit(executor, asked)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

        def _end(self, batch: jobs.Batch, at_work: Mapping[int, Any]) -> None:
            told: set[int] = set()
            for job in at_work.values():  # what has not begun ends at this, what has passes it over
                _tell(int(job.job_id), signal.SIGTERM)
            until = time.monotonic() + jobs.GRACE_S
            while not all(job.done() for job in at_work.values()) and time.monotonic() < until:
                time.sleep(1.0)  # a terminal tells them all itself
                begun = {number for i in at_work if (number := batch.writer(i))}
                for number in begun - told:
                    _tell(number, signal.SIGINT)
                told |= begun
            for i, job in at_work.items():
                if not job.done():
                    _tell(batch.writer(i), signal.SIGKILL)
                    _tell(int(job.job_id), signal.SIGKILL)

    class Slurm(_Submitted, SlurmLauncher):
        """By SLURM, as one array of jobs, which says itself how many go on at once."""

        def _place(self, batch: jobs.Batch) -> tuple[int, str]:
            batch.give(self.params["cpus_per_task"] or 1)
            return len(batch), "in SLURM's queue"

        def _end(self, batch: jobs.Batch, at_work: Mapping[int, Any]) -> None:
            """As an interrupt, so that each can end its run; those that wait, and those that do not listen, are
            cancelled."""
            del batch
            for job in at_work.values():
                subprocess.run(["scancel", "--signal=INT", job.job_id], capture_output=True, check=False)
            if sweep.BEGUN["parent"].client:
                sweep.open_below(sweep.BEGUN["store"], sweep.BEGUN["parent"].id, jobs.GRACE_S)
            for job in at_work.values():
                job.cancel(check=False)

    def _tell(number: int | None, how: signal.Signals) -> None:
        """Sends a signal to a process that may have ended."""
        if number is not None:
            with suppress(ProcessLookupError):
                os.kill(number, how)
