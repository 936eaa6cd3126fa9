"""Programs of SLURM's names that do on this machine what they are asked: no cluster is at hand where tests are run.

`sbatch` keeps the script and runs each job of its array in the background; a job that is killed is run again, as
`--requeue` has it. `scancel` sends the signal that it is given, or ends a job; `scontrol requeue` has it run again.
"""

from __future__ import annotations

import sys
from pathlib import Path

SBATCH = """
import os, pathlib, re, subprocess, sys
here = pathlib.Path(__file__).parent
script = pathlib.Path(sys.argv[-1]).read_text()
number = str(1000 + len(list(here.glob("*.sh"))))
(here / f"{number}.sh").write_text(script)
array = re.search(r"#SBATCH --array=0-(\\d+)", script)
for task in range(int(array[1]) + 1) if array else [None]:
    subprocess.Popen([sys.executable, here / "job.py", number, "" if task is None else str(task)],
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                     start_new_session=True)
print(f"Submitted batch job {number}")
"""
JOB = """
import os, pathlib, subprocess, sys
here, (number, task) = pathlib.Path(__file__).parent, sys.argv[1:]
name = f"{number}_{task}" if task else number
own = {"SLURM_JOB_ID": name.replace("_", "9"), "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
       "SLURM_NODEID": "0", "SLURM_JOB_NUM_NODES": "1"}
if task:
    own |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": task}
for _ in range(5):
    process = subprocess.Popen(["bash", here / f"{number}.sh"], env=os.environ | own, start_new_session=True)
    (here / f"{name}.pid").write_text(str(process.pid))
    code = process.wait()
    again = (here / f"{name}.again")
    if not again.exists() and code not in (137, -9) or (here / f"{name}.cancelled").exists():
        break
    again.unlink(missing_ok=True)
(here / f"{name}.over").write_text(str(code))
"""
SRUN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the task
words = sys.argv[1:]
out = err = None
while words[0].startswith("--"):
    if words[0] in ("--output", "--error"):
        path = words.pop(1).replace("%t", "0")
        array = os.environ.get("SLURM_ARRAY_JOB_ID")
        name = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
        path = path.replace("%A_%a", name).replace("%j", name)
        file = open(path, "a")
        out, err = (file, err) if words[0] == "--output" else (out, file)
    words.pop(0)
heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
code = subprocess.run(words, stdout=out, stderr=err, preexec_fn=heard).returncode
sys.exit(128 - code if code < 0 else code)
"""
SCANCEL = """
import os, pathlib, signal, sys
here = pathlib.Path(__file__).parent
words = [w for w in sys.argv[1:] if not w.startswith("--")]
how = next((w.partition("=")[2] for w in sys.argv if w.startswith("--signal=")), "")
for name in words:
    if not how:
        (here / f"{name}.cancelled").touch()
    try:
        os.killpg(int((here / f"{name}.pid").read_text()), signal.Signals[f"SIG{how}"] if how else signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass
"""
SCONTROL = """
import pathlib, sys
(pathlib.Path(__file__).parent / f"{sys.argv[2]}.again").touch()
"""
SACCT = """
import pathlib
here = pathlib.Path(__file__).parent
print("JobID|State|NodeList")
for pid in here.glob("*.pid"):
    over = pid.with_suffix(".over")
    state = "RUNNING" if not over.exists() else "COMPLETED" if over.read_text() == "0" else "FAILED"
    print(f"{pid.stem}|{state}|here")
"""


class Slurm:
    """A folder of such programs, to be the first of a PATH."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "job.py").write_text(JOB)
        for name, text in (
            ("sbatch", SBATCH),
            ("srun", SRUN),
            ("scancel", SCANCEL),
            ("scontrol", SCONTROL),
            ("sacct", SACCT),
        ):
            (folder / name).write_text(f"#!{sys.executable}\n{text.lstrip()}")
            (folder / name).chmod(0o755)

    def scripts(self) -> list[str]:
        """What `sbatch` was given."""
        return [p.read_text() for p in sorted(self.folder.glob("*.sh"))]
