"""Results as files: build/bench/results/NAME.json, and NAME.tsv with units."""

import json
import subprocess

from .machine import BUILD, TOP

RESULTS = BUILD / "bench" / "results"


def column(name, unit="", title=""):
    return {"name": name, "unit": unit, "title": title or name}


def _first_line(*command):
    done = subprocess.run(command, cwd=TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    return done.stdout.strip().partition("\n")[0]


def conditions(**more):
    """What the figures depend on."""
    opensbi = (TOP / "build" / "opensbi" / "fw_jump.bin").read_bytes()
    version = opensbi.partition(b"OpenSBI v")[2][:16].partition(b"\0")[0]
    return {"commit": _first_line("git", "describe", "--always", "--dirty"),
            "qemu": _first_line("qemu-system-riscv64", "--version"),
            "opensbi": version.decode(errors="replace").split()[0]
            if version else "", "seed": 1, **more}


def write(name, title, question, columns, rows, facts):
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(
        {"type": "bench", "name": name, "title": title, "question": question,
         "conditions": facts, "columns": columns, "rows": rows}, indent=1)
        + "\n")
    head = [f"{c['name']} ({c['unit']})" if c["unit"] else c["name"]
            for c in columns]
    (RESULTS / f"{name}.tsv").write_text("".join(
        "\t".join("" if v is None else str(v) for v in line) + "\n"
        for line in [head] + rows))
    return RESULTS / f"{name}.json"
