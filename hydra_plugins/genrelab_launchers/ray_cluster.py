"""`hydra/launcher=ray_cluster`: tasks of Ray, on a cluster or on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from genrelab import jobs

try:
    from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
except ImportError:  # its extra is not installed
    pass
else:

    class RayCluster(jobs.Checked, RayLauncher):
        """As many runs at once as the cluster holds; Ray's launcher leaves at the first that fails."""

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
            import ray
            from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

            assert self.config is not None
            batch = jobs.Batch(self.config, job_overrides, initial_job_idx)
            batch.folder.mkdir(parents=True, exist_ok=True)
            batch.give(max(1, int(self.ray_cfg.remote.num_cpus)))
            init = self.ray_cfg.init.copy()
            if init.address != "local":
                init.pop("object_store_memory", None)  # a cluster that runs has its own
            start_ray(init)
            here = "here" if init.address == "local" else f"on {int(ray.cluster_resources()['CPU'])} processors"
            n = self.config.jobs or int(ray.cluster_resources()["CPU"] // self.ray_cfg.remote.num_cpus) or 1
            todo, done = deque(range(len(batch))), {}
            at_work: dict[Any, int] = {}
            with batch.watched(n, here):
                try:
                    while todo or at_work:
                        while todo and len(at_work) < n:
                            at_work |= {self._task(batch, todo[0]): todo.popleft()}
                        for ref in ray.wait(list(at_work), timeout=jobs.POLL_S)[0]:
                            i = at_work.pop(ref)
                            try:
                                done[i] = ray.get(ref)
                            except ray.exceptions.RayError as error:
                                why = str(error).strip().splitlines()[0][:200]
                                done[i] = batch.lost(i, f"{jobs.GONE} ({type(error).__name__}: {why})")
                except BaseException:
                    for ref in at_work:
                        ray.cancel(ref)
                    ray.wait(list(at_work), num_returns=len(at_work), timeout=jobs.GRACE_S)
                    ray.shutdown()
                    raise
            return [done[i] for i in range(len(batch))]

        def _task(self, batch: jobs.Batch, i: int) -> Any:
            """Starts a run, as Ray's own launcher does."""
            from hydra.core.singleton import Singleton
            from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray
            from omegaconf import open_dict

            assert self.hydra_context and self.task_function and self.config is not None
            composed = self.hydra_context.config_loader.load_sweep_config(self.config, batch.typed[i])
            with open_dict(composed):
                composed.hydra.job.num = batch.first + i
                composed.hydra.job.id = f"{composed.hydra.job.name}_{batch.first + i}"
            return launch_job_on_ray(
                self.hydra_context, self.ray_cfg.remote, composed, self.task_function, Singleton.get_state()
            )
