"""A guest that throws random code at Rouse while neighbours are watched.

guests/baremetal/fuzz.c says what it does. Its reboots go on with another seed,
so a run is several; the seed and the steps that it last said are in the log, and
`bootargs = "seed=0x... from=..."` in that guest does the same again.
"""

import json
import re

from fairness import Between, claims_of, fair, readings
from harness import CPU, Case, Failure
from labs import Shell, guest, heard, lab, said

CPUS = 2
LISTS = "guest list -j; vcpu list -j"
STEPS = r"fuzz: seed (0x[0-9a-f]+) steps ((?:\d+ ?)+)"
# The firmware prints into lines of ours now and then, and into the one that
# ends an answer, which then doesn't come: ask again, until these are there.
WANTED = {("guest", "fuzz"), ("vcpu", "near", 0)}
TRIES = 10
RESETS = 3


def boot(t):
    """Random code and its two neighbours, equal in weight."""
    guests = [
        guest("fuzz", "fuzz", vcpus=t.args.get("vcpus", 4),
              on_poweroff="restart",
              on_reboot="restart", on_crash="restart",
              bootargs=t.args.get("bootargs")),
        guest("near", "toucher", bootargs="passes=1000000"),
        guest("clock", "tick", bootargs="seconds=0"),
    ]
    return t.boot(lab=lab(*guests, seed=t.args["seed"]), smp=CPUS, mem="512M",
                  cpu=t.args.get("cpu", CPU),
                  machine=t.args.get("machine", "virt"),
                  options=t.args.get("options", ()),
                  append=t.args.get("append", ""))


def reading(m, shell):
    for _ in range(TRIES):
        try:
            shell.run("")
            begin = m.seen
            shell.run(LISTS)
            found = readings(m.text[begin:])
            if found and WANTED <= found[-1].keys():
                return found[-1]
        except (ValueError, KeyError):
            pass    # there was a line of the firmware's in the midst of one
        except Failure:
            if m.ended:
                raise
    raise Failure("the console gives no listing")


def fuzz_until(m, shell, wanted):
    """{seed: steps of all harts}, when there are as many as wanted."""
    steps, resets = {}, 0
    while sum(steps.values()) < wanted:
        try:
            match = m.expect(said("fuzz", STEPS), 60)
        except Failure:
            # It may have hurt the hart that watches: that is its own affair.
            if resets == RESETS or m.ended:
                raise
            resets += 1
            shell.run("guest reset fuzz")
            continue
        seed, counts = match.groups()
        steps[seed] = max(steps.get(seed, 0), sum(map(int, counts.split())))
    return steps


def neighbours_are_well(t, m, between, before):
    """Right, alive, on time, and with their share, from text `before` on."""
    near, clock = (heard(n, m.text[before:]) for n in ("near", "clock"))
    t.check("0 wrong" in near and not re.search(r"[1-9]\d* wrong", near),
            f"the neighbour's memory: {near[-300:]}")
    seconds = [int(s) for s in re.findall(r"tick: (\d+) s", clock)]
    t.check(len(set(seconds)) >= 2, f"the neighbour's clock: {seconds}")
    claims = claims_of(CPUS, near=(1, 256), fuzz=(4, 256))
    due = fair(claims, CPUS)["near"]
    got = between.grown(("vcpu", "near", 0), "running_ns")
    share = got / between.elapsed(("near", 0))
    t.check(share >= t.args["least"] * due,
            f"the neighbour had {share:.3f} CPUs; {due:.3f} are due")
    return share


def random_code(t):
    m = boot(t)
    shell = Shell(m)
    m.expect(said("near", r"toucher: filled"), 120)
    m.expect(said("fuzz", STEPS), 120)
    before, at = reading(m, shell), m.seen
    steps = fuzz_until(m, shell, t.args["steps"])
    after = reading(m, shell)
    share = neighbours_are_well(t, m, Between(before, after), at)
    boots = after["guest", "fuzz"]["boots"]
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")
    (t.folder / "steps.json").write_text(json.dumps(
        {"steps": steps, "boots": boots, "share": share}, indent=1))


# A vCPU's instruction takes the same guest time, always: such a run repeats.
REPEATS = dict(options=("-icount", "shift=4,sleep=off"), least=0.95)
# Harts really at once; the host's load may take any of them away for a while.
AT_ONCE = dict(least=0.8)


def tests(full):
    steps = 2000000 if full else 40000
    limit = 14400 if full else 600
    cases = [Case("random_code_hurts_nobody,at_once", random_code, seed=11,
                  steps=steps, timeout=limit, **AT_ONCE),
             Case("random_code_hurts_nobody,repeatable", random_code, seed=12,
                  steps=steps, timeout=limit, **REPEATS)]
    if full:
        cases += [Case(f"random_code_hurts_nobody,{n}", random_code,
                       seed=20 + i, steps=200000, timeout=limit, **AT_ONCE,
                       **how)
                  for i, (n, how) in enumerate((
                      ("timer=sbi", dict(append="timer=sbi")),
                      ("quick=off", dict(append="quick=off")),
                      ("aia", dict(machine="virt,aia=aplic-imsic,"
                                   "aia-guests=3")),
                      ("no_vector", dict(cpu="rv64,v=off,f=on,zawrs=off")),
                      # Hart masks of two words, the second not full.
                      ("70_vcpus", dict(vcpus=70, bootargs="harts=4"))))]
    return cases
