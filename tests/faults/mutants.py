"""How many of the small faults that mutmut plants in figures, splits, slices and aggregators do their tests find?

    pip install 'genrelab[mutants]'
    CI=1 OMP_NUM_THREADS=1 python -m tests.faults.mutants 1000    # a sample, the same on every machine
    CI=1 OMP_NUM_THREADS=1 mutmut run                             # all of them: hours

What is mutated and which tests are asked stands in pyproject.toml, `tool.mutmut`. CI=1 makes hypothesis repeat itself.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
FEW = "genrelab.agg.mean.*"  # mutants of one small file: running these makes all
SAYS = {0: "survived", 1: "killed", 3: "killed", -24: "timeout", 24: "timeout", 33: "no test", None: "not run"}


def made() -> dict[str, dict[str, int | None]]:
    """Every mutant that was made, by file, and how its tests ended."""
    found = {}
    for path in sorted((ROOT / "mutants" / "genrelab").rglob("*.py.meta")):
        name = path.relative_to(ROOT / "mutants").as_posix().removesuffix(".meta")
        found[name] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def sample(mutants: dict[str, dict[str, int | None]], n: int) -> list[str]:
    """n mutants, of each file as many as it has a share in all."""
    order = random.Random(0)
    every = [name for file in sorted(mutants) for name in order.sample(sorted(mutants[file]), len(mutants[file]))]
    return every[:] if n >= len(every) else [every[int((i + 0.5) * len(every) / n)] for i in range(n)]


def table(mutants: dict[str, dict[str, int | None]], asked: list[str]) -> None:
    """Prints a line a folder, the score with its 95 % interval (Wilson 1927), and what survived."""
    from scipy.stats import binomtest

    counts: dict[str, Counter[str]] = defaultdict(Counter)
    wanted, left = set(asked), []
    for file, ended in mutants.items():
        for name in sorted(wanted & ended.keys()):
            said = SAYS.get(ended[name], "killed")  # a crash is found too
            for where in (file.rpartition("/")[0], "all"):
                counts[where][said] += 1
            left += [name] * (said in ("survived", "no test"))
    print(f"{'':22}{'mutants':>9}{'killed':>9}{'timeout':>9}{'survived':>9}{'no test':>9}")
    for where in (*sorted(counts.keys() - {"all"}), "all"):
        of = counts[where]
        print(f"{where:22}{of.total():9}" + "".join(f"{of[k]:9}" for k in ("killed", "timeout", "survived", "no test")))
    ran = counts["all"].total() - counts["all"]["not run"]
    share = binomtest(counts["all"]["killed"] + counts["all"]["timeout"], ran)
    ends = share.proportion_ci(method="wilson")
    print(f"killed: {share.statistic:.1%}, 95 % interval {ends.low:.1%} to {ends.high:.1%}")
    print(*left, sep="\n")


def mutmut(*names: str) -> None:
    subprocess.run([Path(sys.executable).with_name("mutmut"), "run", *names], cwd=ROOT, check=True)


def main(n: int) -> None:
    mutmut(FEW)
    asked = sample(made(), n)
    mutmut(*asked)
    table(made(), asked)


if __name__ == "__main__":
    main(int(sys.argv[1]))
