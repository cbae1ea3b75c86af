"""The one shape in which every measurement is written and read.

A result is a table with a question above it and the conditions beside it:

    {"type": "bench", "name": "fairness", "title": "...", "question": "...",
     "conditions": {"commit": "...", "qemu": "...", ...},
     "columns": [{"name": "share", "unit": "%", "title": "share of time"}],
     "rows": [["rr", 49.9]]}

    results.write("fairness", title, question, columns, rows,
                  results.conditions(machine="virt", harts=2, seed=1))

writes it to build/bench/results/fairness.json and, for a spreadsheet or awk,
fairness.tsv: conditions in lines that begin with "#", then one line of column
names with their units ("share [%]"), then the rows. A column may say more than
its name, unit and title: "role" and "better" are described in docs/bench.md.
Names are snake_case, a missing value is None (an empty field in the TSV), and
what isn't so is refused here rather than found by a reader.

ROUSE_BENCH_RESULTS names another folder to write to and read from.
"""

import json
import math
import os
import re
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build"

SNAKE = re.compile(r"[a-z][a-z0-9_]*\Z")
NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")      # of a result, and so of a file
PLAIN = (str, int, float, bool, type(None))


class Bad(Exception):
    """A result that has not the shape above; the text says where."""


def folder():
    return Path(os.environ.get("ROUSE_BENCH_RESULTS",
                               BUILD / "bench" / "results"))


def output(command):
    """What a program prints, or "" if it fails."""
    try:
        done = subprocess.run(command, cwd=TOP, text=True, timeout=30,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(command, pattern):
    found = re.search(pattern, output(command))
    return found.group(1) if found else "unknown"


def compiler():
    """The version of the one that the hypervisor is built with."""
    return output(["riscv64-unknown-elf-gcc", "-dumpversion"]) or "unknown"


def _opensbi():
    try:
        name = (BUILD / "opensbi" / ".from").read_text()
    except OSError:
        return "unknown"
    found = re.match(r"opensbi_([^_]+)_", name)
    return found.group(1) if found else name.strip()


# What images of guests are made of (guests/linux/build): beginnings of the names
# of Debian's packages.
PACKAGES = {
    "linux/Image": ("linux-image",),
    "linux/initrd.gz": ("busybox-static", "rt-tests", "stress-ng"),
    "linux/initrd-small.gz": ("busybox-static",),
}


def guest_packages(images, path=None):
    """The versions of what a text names images of, or "": what was fetched for
    the guests that there are."""
    wanted = [name for image, names in PACKAGES.items() if image in images
              for name in names]
    path = path or BUILD / "guests" / "packages" / "list"
    try:
        files = path.read_text().split()[1::2]
    except OSError:
        files = []
    found = {}
    for name, version, _ in (unquote(f).split("_", 2) for f in files):
        for want in wanted:
            if name.startswith(want):
                found[want] = version
    return ", ".join(f"{want} {found.get(want, 'unknown')}"
                     for want in dict.fromkeys(wanted))


_same_for_all = {}


def conditions(**more):
    """What a reader has to know to get the same figures again: the versions
    of everything involved, and what the caller adds (machine, harts, seed,
    append, ...)."""
    if not _same_for_all:
        _same_for_all.update(
            commit=output(["git", "describe", "--tags", "--always",
                            "--dirty"]) or "unknown",
            qemu=_version(["qemu-system-riscv64", "--version"],
                          r"version (\S+)"),
            opensbi=_opensbi(),
            compiler=compiler())
    return {**_same_for_all, **more}


class Machine(NamedTuple):
    """A machine as it was run. What doesn't apply is ""."""
    machine: str
    harts: int
    icount_shift: int | str
    cpu: str
    memory: str
    append: str     # the command line of what ran on it
    policy: str     # as the hypervisor told it
    guests: str = ""    # versions of what its guests are made of


_ran = threading.local()


def note_ran(*machines):
    """That this thread has run them."""
    _ran.__dict__.setdefault("machines", set()).update(machines)


def take_ran():
    """The Machines that this thread has run since it last asked."""
    return _ran.__dict__.pop("machines", set())


def told_policy(console):
    """The policy that Rouse says it schedules by, or ""."""
    found = re.search(r"\] scheduler: ([\w-]+) on ", console)
    return found[1] if found else ""


def machine_conditions(machines):
    """What conditions() is to say of the machines that were run."""
    def of(name, between=" "):
        values = {str(getattr(m, name)) for m in machines}
        return between.join(sorted(values - {""}))
    return {"machine": of("machine"), "harts": of("harts"),
            "icount_shift": of("icount_shift"), "cpu": of("cpu"),
            "memory": of("memory"), "append": of("append", " | "),
            "policies": of("policy"), "guests": of("guests", " | ")}


# Why a policy was not asked at all, or not everything.
NO_ROOM = "left_out", "in_part"


def room_conditions(refused, asked):
    """What conditions() is to say of policies that had no room for what was to
    run, {name: vCPUs that each hart has room for}; asked: names of those that
    were asked something."""
    out = dict.fromkeys(NO_ROOM, "")
    for name, each in refused.items():
        place = NO_ROOM[name in asked]
        out[place] += (", " * bool(out[place]) + f"{name} (room for {each} vCPU"
                       f"{'s' * (each != 1)} a hart)")
    return {place: text for place, text in out.items() if text}


def no_room(conditions):
    """The policies that were not asked for want of room."""
    return re.findall(r"([\w-]+) \(room", conditions.get(NO_ROOM[0], ""))


def check(result):
    """Raises Bad unless `result` has the shape."""
    def demand(true, text):
        if not true:
            raise Bad(f"{result.get('name', '(no name)')}: {text}")

    for key in ("name", "title", "question"):
        demand(isinstance(result.get(key), str) and result[key],
               f"{key}: expected a text")
    demand(result.get("type") == "bench", "type: expected 'bench'")
    demand(NAME.match(result["name"]), "name: expected small letters")
    demand(isinstance(result.get("conditions"), dict),
           "conditions: expected an object")
    for key, value in result["conditions"].items():
        demand(SNAKE.match(key), f"condition '{key}': expected snake_case")
        demand(isinstance(value, PLAIN),
               f"condition '{key}': expected a text or a number")
    columns = result.get("columns")
    demand(isinstance(columns, list) and columns, "columns: expected some")
    for column in columns:
        demand(isinstance(column, dict)
               and SNAKE.match(str(column.get("name", ""))),
               f"column {column}: expected a name in snake_case")
        demand(isinstance(column.get("unit"), str)
               and isinstance(column.get("title"), str),
               f"column '{column['name']}': expected a unit and a title")
    names = [column["name"] for column in columns]
    demand(len(set(names)) == len(names), "columns: a name occurs twice")
    demand(isinstance(result.get("rows"), list), "rows: expected a list")
    for number, row in enumerate(result["rows"]):
        demand(isinstance(row, list) and len(row) == len(columns),
               f"row {number}: expected {len(columns)} values")
        for value, name in zip(row, names):
            demand(isinstance(value, PLAIN) and not
                   (isinstance(value, float) and not math.isfinite(value)),
                   f"row {number}, {name}: {value!r} is no plain value")


def _field(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return re.sub(r"[\t\r\n]+", " ", str(value))


def _tsv(result):
    yield f"# {result['title']}"
    yield f"# {result['question']}"
    for key, value in result["conditions"].items():
        yield f"# {key}: {_field(value)}"
    yield "\t".join(f"{c['name']} [{c['unit']}]" if c["unit"] else c["name"]
                    for c in result["columns"])
    for row in result["rows"]:
        yield "\t".join(_field(value) for value in row)


def write(name, title, question, columns, rows, conditions, **more):
    """Writes a result in both forms; returns the path of the JSON. What else
    is given (series for plots, say) is kept in the JSON as it is."""
    result = {"type": "bench", "name": name, "title": title,
              "question": question, "conditions": conditions,
              "columns": columns, "rows": [list(row) for row in rows], **more}
    check(result)
    out = folder()
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    # A reader never meets half a file.
    new = out / f".{name}.new"
    new.write_text(json.dumps(result, separators=(",", ":"), allow_nan=False)
                   .replace('"rows":[', '"rows":[\n')
                   .replace("],[", "],\n[") + "\n")
    new.replace(path)
    new.write_text("\n".join(_tsv(result)) + "\n")
    new.replace(out / f"{name}.tsv")
    return path


def read(path):
    """The result in one JSON file. Raises Bad if it isn't one."""
    try:
        result = json.loads(Path(path).read_text())
    except OSError as error:
        raise Bad(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise Bad(f"{path}: no result: {error}") from None
    if not isinstance(result, dict):
        raise Bad(f"{path}: expected an object")
    check(result)
    return result


def read_all(path=None):
    """Every result in a folder, or the one in a file: {name: result}."""
    path = Path(path) if path is not None else folder()
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found = [read(file) for file in files]
    return {result["name"]: result for result in found}


def as_dicts(result):
    """The rows as [{column name: value}]."""
    names = [column["name"] for column in result["columns"]]
    return [dict(zip(names, row)) for row in result["rows"]]
