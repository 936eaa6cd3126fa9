"""`hydra/launcher=processes`: joblib's processes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from genrelab import jobs
from genrelab.report.console import say

try:
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
except ImportError:  # its extra is not installed
    pass
else:

    class Processes(jobs.Checked, JoblibLauncher):
        """Several runs at once. Where a process is killed joblib ends the others with it: they go on alone."""

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
            batch = jobs.Batch(self.config, job_overrides, initial_job_idx)
            n = min(self.joblib["n_jobs"], len(batch))
            batch.share(n)
            with batch.watched(n):
                if n > 1:
                    try:
                        return super().launch(job_overrides, initial_job_idx)
                    except BrokenProcessPool:
                        say("a process was killed, and the others ended with it: what is left goes on, one at a time")
                return [self._alone(batch, i) for i in range(len(batch))]

        def _alone(self, batch: jobs.Batch, i: int) -> Any:
            """A run in a process that no other has to do with."""
            if batch.row(i) is not None:
                return batch.returned(i)
            self.joblib["n_jobs"] = 2  # with 1 it would be in this process
            try:
                return super().launch([batch.typed[i]], batch.first + i)[0]
            except BrokenProcessPool:
                return batch.lost(i, jobs.GONE)
