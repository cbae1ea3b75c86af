"""Linux guests that work side by side, for the questions about them.

Each does the same at the same moments: the machine's clock is the virtual
one, and each waits for a second of it before it begins. So however long the
others take to boot, all are there when the first one begins, and a run is
repeated exactly.
"""

import re

from bench import CLOCK_BASE, harness, linux

HARTS, SHIFT = 2, 3

# So long until the first work, and from then until the second, in seconds: of
# each, and of each guest. Time in which all are idle costs nothing.
BOOT = (10, 14)
HACK = (10, 8)


def at(second):
    """Shell: waits until a second after the machine's start."""
    when = CLOCK_BASE + second
    return (f"sleep $(({when - 1} - $(date +%s))); "
            f"while [ $(date +%s) -lt {when} ]; do sleep 0.05; done; ")


def side_by_side(b, policy, guests, seed):
    """`guests` Linux guests with two vCPUs on two harts do the same: first
    hackbench, then stress-ng. Returns (hackbench's seconds of each, stress-ng's
    operations a second of each)."""
    return b.memo(("linux", policy.name, guests, seed),
                  lambda: _side_by_side(b, policy, guests, seed))


def _side_by_side(b, policy, guests, seed):
    begin = BOOT[0] + BOOT[1] * guests
    loops = 20 if b.quick else 100
    seconds = 2 if b.quick else 6
    work = (at(begin) + f"hackbench -g 2 -l {loops}; "
            + at(begin + HACK[0] + HACK[1] * guests)
            + f"stress-ng --cpu 2 --cpu-method int64 -t {seconds} "
            "--metrics-brief --seed " + str(seed))
    names = [f"linux{i}" for i in range(guests)]
    run = b.boot([linux(n, f"quiet run=\"{work}\"", initrd=
                        "linux/initrd.gz", memory="192M") for n in names],
                 ["watch all", f"guest wait {' '.join(names)}", "sleep 1"],
                 policy, HARTS, shift=SHIFT, seed=seed, mem="2G")
    hack, ops = [], []
    for n in names:
        text = run.said(n)
        time = re.search(r"^ *Time: ([\d.]+)", text, re.M)
        rate = re.search(r"metrc:.* cpu +(\d+) +([\d.]+)", text)
        if not time or not rate:
            raise harness.Failure(f"{n} has not said how it went:\n"
                                  + text[-800:])
        hack.append(float(time[1]))
        ops.append(int(rate[1]) / float(rate[2]))
    return hack, ops
