"""Linux guests that work side by side, for the questions about them.

Each does the same at the same moments: the machine's clock is the virtual
one, and each waits for a second of it before it begins. So however long the
others take to boot, all are there when the first one begins, and a run is
repeated exactly.

What each has to do is fixed, and what it took is counted for all from that
second on, whether a guest got to its work at once or had to wait for that, too.
So what all do in a time can't be more than there is. It can be a little more than
one guest alone does, which leaves harts idle when it begins and ends.
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


# Shell: which second begins at which of the guest's own hundredths.
SYNC = ("S=$(date +%s); while [ $(date +%s) = $S ]; do :; done; "
        "read U X </proc/uptime; echo sync $S $U; ")
DONE = "read U X </proc/uptime; echo done $U; "


def side_by_side(b, policy, guests, seed):
    """`guests` Linux guests with two vCPUs on two harts do the same: first
    hackbench, then stress-ng. Returns (seconds until each one's hackbench was
    done, and its stress-ng, operations that each one's stress-ng did)."""
    return b.memo(("linux", policy.name, guests, seed),
                  lambda: _side_by_side(b, policy, guests, seed))


def _side_by_side(b, policy, guests, seed):
    hack_at = BOOT[0] + BOOT[1] * guests
    stress_at = hack_at + HACK[0] + HACK[1] * guests
    loops = 20 if b.quick else 100
    ops = 24 if b.quick else 120
    work = (at(hack_at - 3) + SYNC + at(hack_at)
            + f"hackbench -g 2 -l {loops}; " + DONE + at(stress_at)
            + f"stress-ng --cpu 2 --cpu-method int64 --cpu-ops {ops} "
            f"--metrics-brief --seed {seed}; " + DONE)
    names = [f"linux{i}" for i in range(guests)]
    run = b.boot([linux(n, f"quiet run=\"{work}\"", initrd=
                        "linux/initrd.gz", memory="192M") for n in names],
                 ["watch all", f"guest wait {' '.join(names)}", "sleep 1"],
                 policy, HARTS, shift=SHIFT, seed=seed, mem="2G")
    hack, stress, did = [], [], []
    for n in names:
        text = run.said(n)
        sync = re.search(r"^sync (\d+) ([\d.]+)$", text, re.M)
        done = re.findall(r"^done ([\d.]+)$", text, re.M)
        rate = re.search(r"metrc:.* cpu +(\d+) +([\d.]+)", text)
        if not sync or len(done) != 2 or not rate:
            raise harness.Failure(f"{n} has not said how it went:\n"
                                  + text[-800:])
        # Seconds after the machine's start are those of its clock.
        zero = int(sync[1]) + 1 - CLOCK_BASE - float(sync[2])
        hack.append(zero + float(done[0]) - hack_at)
        stress.append(zero + float(done[1]) - stress_at)
        did.append(int(rate[1]))
    return hack, stress, did
