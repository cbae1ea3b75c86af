"""The table of operations: on the terminal, and as a result file."""

import results

from .figures import words
from .images import MODES, NO_MODE, Stages
from .machine import MACHINES, rows

SPREAD = ("min", "q1", "median", "mean", "q3", "p99", "max")
TITLE = "Instructions of an operation"
QUESTION = ("How many instructions does an operation take, in all modes and on "
            "all harts on its way?")
UNIT = "instructions"


def column(name, unit="", title="", **more):
    """more: role, better, noise; docs/bench.md."""
    return {"name": name, "unit": unit, "title": title or name, **more}


def key(name, unit="", title=""):
    return column(name, unit, title, role="key")


def verdict(row, sbi, median):
    """"reached", "NOT reached", or "" where there is no target."""
    target, _ = row.target(sbi)
    return "" if not target else \
        "reached" if median <= target else "NOT reached"


def show(key, title, found, missing):
    """Prints a kind of machine: the figures, then where they come from."""
    lines = [("row", "n", *SPREAD, "target", "peer", "")]
    notes = []
    for row in rows():
        f = found.get(row.name)
        if f:
            target, peer = row.target(key == "virt")
            spread = [f"{f.mean:.1f}" if s == "mean" else getattr(f, s)
                      for s in SPREAD]
            lines.append((row.name, f.n, *spread, target or "", peer or "",
                          verdict(row, key == "virt", f.median)))
            notes += parts_of(row, f)
        if row.name in missing:
            notes.append(f"{row.name}: {missing[row.name]}")
    print(title)
    widths = [max(len(str(line[i])) for line in lines)
              for i in range(len(lines[0]))]
    for line in lines:
        print("  " + str(line[0]).ljust(widths[0]) + " " + " ".join(
            str(w).rjust(width) for w, width in zip(line[1:], widths[1:])))
    print("".join(f"    {note}\n" for note in notes), flush=True)


def parts_of(row, f):
    modes = words({m: n for m, n in f.modes().items() if n})
    yield f"{row.name}: {words(f.stages())}; {modes}"
    late, more = f.outliers()
    if late:
        yield (f"    {late} of {f.n} take over 1.1 medians; more there: "
               f"{words(more)}")


def columns(stages):
    c = column
    # Harts that wait for one another are threads of the build host: a busy one
    # moves a median by up to 4 %, a stage by a dozen instructions, and what the
    # luckiest rounds are by as much as it likes. Tails too: what comes in
    # between one round takes up to 2,500, and may come to ten of a thousand. Of
    # few rounds none is a tail.
    near, chance = {"better": "less", "noise": 1, "noise_percent": 4}, \
        {"compare": False}
    part = {"noise": 16, "noise_percent": 4}
    few = {"better": "less", "of": "n", "enough": 500}
    spread = {"median": near, "p99": {**few, "noise": 20, "noise_percent": 10},
              "max": {**few, "noise": 2500, "noise_percent": 25}}
    return [key("machine"), key("row"), key("title", "", "operation"),
            c("n", "rounds", **chance)] + \
        [c(s, UNIT, **spread.get(s, chance)) for s in SPREAD] + \
        [c("target", UNIT),
         c("peer", UNIT, "best peer's median"),
         c("reached", "", "median within the target"),
         c("outliers", "rounds", "over 1.1 medians", **few, noise=10,
           noise_percent=25)] + \
        [c(f"mode_{m.lower()}", UNIT, f"in {m}-mode, typical round", **part)
         for m in MODES.values()] + \
        [c(f"mode_{NO_MODE}", UNIT, "in no program given, typical round",
           **part)] + \
        [c(f"stage_{s.lower()}", UNIT, f"{s}, typical round", **part)
         for s in stages] + \
        [c(f"outlier_{s.lower()}", UNIT, f"{s}, more in the mean outlier",
           **chance) for s in stages]


def stage_names():
    names = []
    for _, stage, counted, _ in Stages().lines:
        if counted and stage not in names:
            names.append(stage)
    return names + ["elsewhere"]


def lines_of(key, found):
    """Rows of the result for one kind of machine: found is {row: Figures}."""
    stages, out = stage_names(), []
    for row in rows():
        if row.name not in found:
            continue
        f = found[row.name]
        target, peer = row.target(key == "virt")
        late, more = f.outliers()
        modes, split = f.modes(), f.stages()
        out.append(
            [MACHINES[key], row.name, row.title, f.n] +
            [round(getattr(f, s), 2) for s in SPREAD] +
            [target, peer, None if target is None else f.median <= target,
             late, *modes.values()] +
            [split.get(s, 0) for s in stages] +
            [round(more.get(s, 0), 1) for s in stages])
    return out


def in_order(lines):
    """Rows of lines_of() in the order of rows.tsv, machine by machine."""
    machines = list(MACHINES.values())
    names = [row.name for row in rows()]
    return sorted(lines, key=lambda line: (machines.index(line[0]),
                                           names.index(line[1])))


def store(name, tables, facts):
    """tables: {key: {row: Figures}}."""
    out = [line for key, found in tables.items()
           for line in lines_of(key, found)]
    return results.write(name, TITLE, QUESTION, columns(stage_names()), out,
                         facts)
