import statistics

import peers
from meter import linux

TITLE = linux.TITLE
QUESTION = linux.QUESTION
COLUMNS = linux.COLUMNS
COST_S = 30


def cases(b):
    return [{"machine": "virt", "seed": s}
            for s in linux.SEEDS[:1 if b.quick else None]]


def measure(b, machine, seed):
    initrd = b.memo("linux: initramfs", linux.initramfs)
    offsets = b.memo(("linux: before", machine),
                     lambda: linux.before(machine))
    return [linux.line_of(machine, seed, *linux.one(machine, "", seed, initrd,
                                                    offsets))]


def plots(done):
    measured = [row for _, rows, _ in done for row in rows]
    bars = {"Rouse": statistics.median(row[3] for row in measured),
            "no hypervisor": statistics.median(row[2] for row in measured),
            "no hypervisor, a guest's devices":
                statistics.median(row[5] for row in measured),
            **peers.linux_bars()}
    return [{"kind": "bars", "title": "until its init, median [s]",
             "x": "who", "y": "seconds", "data": [
                 {"who": who, "seconds": round(s, 3)}
                 for who, s in bars.items()]},
            *[{"kind": "dots", "title": title, "x": "seed", "y": "ratio",
               "target": "target", "data": [
                   {"seed": f"seed {row[1]}", "ratio": row[at],
                    "target": linux.TARGET} for row in measured]}
              for at, title in (
                  (4, "as a guest / without, by seed"),
                  (6, "as a guest / without, with a guest's devices alone"))]]
