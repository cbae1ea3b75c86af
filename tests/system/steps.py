"""No step is long: a CPU is never away from its guests for more than 100 us.

A task works in steps of that at most, for a guest of any size (kernel/sched/
task.h). Time is counted instructions, one a nanosecond, so what is found does
not depend on the build host.
"""

from collections import defaultdict

from harness import Case
from labs import guest
from trace import Run, complete, rows
from tracelib import form

BIG = 512
LARGE_GIB = 3
INSTRUCTIONS = 100_000
TICK = 100  # of instructions: 10 MHz

CREATE = "guest create big {} kernel=baremetal/rebooter.elf"


def worst(trace):
    """{task: instructions of its longest step}; of a task's name, a record has
    the first eight letters."""
    most = defaultdict(int)
    for record in rows(trace, "TASK"):
        name = form.chars(record[5])
        most[name] = max(most[name], record[4] * TICK)
    return most


def steps(t):
    run = Run(t, [guest("image", "rebooter", autostart=False, memory="8M")],
              ["trace on size=65536", CREATE.format(t.args["big"]),
               "guest start big", "sleep 0.3", "guest stop big",
               "guest destroy big", "sleep 0.05", "trace off"], smp=1,
              mem=f"{LARGE_GIB + 1}G")
    most = worst(complete(t, run.trace))
    t.check({"console", "big", "reaper"} <= set(most), f"tasks: {set(most)}")
    for name, instructions in most.items():
        t.check(instructions <= INSTRUCTIONS,
                f"a step of {name} took {instructions} instructions")


def tests(full):
    return [Case(f"no_step_for_a_guest_of_{name}_is_long", steps, timeout=300,
                 shift=0, big=big)
            for name, big in ((f"{BIG}_vcpus", f"vcpus={BIG} memory=8M"),
                              (f"{LARGE_GIB}_GiB", f"memory={LARGE_GIB}G"))]
