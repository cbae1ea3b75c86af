import os
import subprocess
import tempfile
from pathlib import Path

import results
from bench import TOP
from sweep import table

# The sweep of `make sweep`, by the very same workflow, and a small one: a few
# seconds. A greater one that is made later takes its place in the report.
TITLE = table.TITLE
QUESTION = table.QUESTION
COLUMNS = table.COLUMNS
COST_S = 20

CPUS, SECONDS, GUESTS, LOADS = 4, 2, (4, 16), (90, 50, 200)


def cases(b):
    return [{"seed": s} for s in b.seeds(2)]


def several(values):
    return "[" + ",".join(map(str, values)) + "]"


def measure(b, seed):
    policies = [p.name for p in b.policies()]
    # Beside the results: what was simulated there already isn't done again.
    folder = results.folder().parent / "sweep"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [TOP / "bench" / "sweep" / "sweep", "--config", f"cpus={CPUS}",
             f"policies={several(policies)}", f"guests={several(GUESTS)}",
             f"load_percent={several(b.some(*LOADS))}", f"seeds=[{seed}]",
             f"seconds={SECONDS}", f"results={out}"],
            cwd=TOP, env={**os.environ, "ROUSE_SWEEP": str(folder)}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=900)
        if done.returncode:
            raise results.Bad(f"the sweep ended with status {done.returncode}:"
                              f"\n{done.stdout[-2000:]}")
        made = results.read(Path(out) / "sweep.json")
    results.note_ran(*(results.Machine("simulated", CPUS, "", "", "", "", p)
                       for p in policies))
    return made["rows"]


def rows(done):
    return table.in_order(row for _, some, _ in done for row in some)


def plots(done):
    return table.plots(rows(done))
