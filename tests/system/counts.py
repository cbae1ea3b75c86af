"""A count of one's own of the vCPUs that wait for each CPU: by the records
alone, and nothing of what the tools make of them.

    count = Count(trace)
    count.waiting    {cpu: {tick: how many wait when it is over}}, for ticks in
                     which anything happened to anybody, and not in the middle
                     of a task: who has the CPU may or may not wait for that
    count.untrue     sentences about records whose `load` it contradicts

The hypervisor counts as well: its load is who runs, and who is queued and may
run. Not for traces in which a vCPU is paused that sleeps.
"""

import sys

from harness import TOP

sys.path.insert(0, str(TOP / "tools"))
from tracelib import form  # noqa: E402

E = form.NUMBER
PUT_BACK = {E[n] for n in ("PREEMPT", "SLICE_END", "YIELD")}
LOADS = PUT_BACK | {E["ENQUEUE"], E["CPU_WAIT"]}
# What a record makes of its vCPU.
THEN = {E[name]: what for what, names in (
    ("queued", "ENQUEUE PREEMPT SLICE_END YIELD"), ("runs", "DISPATCH STAY"),
    ("coming", "VCPU_ON VCPU_RESUME WAKE HANDOVER"),
    ("asleep", "BLOCK"), ("away", "VCPU_OFF VCPU_PAUSE"))
    for name in names.split()}


class Count:
    def __init__(self, trace):
        self.at = {}       # vCPU: (the CPU whose it is, what it does there)
        self.parked = set()
        self.untrue, self.waiting = [], {c.cpu: {} for c in trace.cpus}
        tasks = [(r[2], r[0] - r[4], r[0]) for r in trace.merged()
                 if r[1] == E["TASK"]]
        for r in trace.merged():
            if r[1] in PUT_BACK:
                self.hold(r)
            if not self.record(*r):
                continue
            if r[1] in LOADS - PUT_BACK:
                self.hold(r)
            for cpu, by_tick in self.waiting.items():
                if not any(c == cpu and begin <= r[0] < end
                           for c, begin, end in tasks):
                    by_tick[r[0]] = self.of(cpu, "queued", "coming")

    def of(self, cpu, *what):
        return len([v for v, at in self.at.items()
                    if at[0] == cpu and at[1] in what])

    def record(self, time, event, cpu, v, a, _):
        """Whether it says anything of who waits."""
        home, what = self.at.get(v, (cpu, None))
        if event == E["PARK"]:
            self.parked.add(v)
        elif event == E["UNPARK"]:
            self.parked -= {u for u in self.parked if self.at[u][0] == cpu}
        elif event == E["HANDOVER"]:
            self.at[v] = (a, what if what == "asleep" else "coming")
        elif event in THEN:
            self.at[v] = (home if event == E["WAKE"] else cpu, THEN[event])
        if event == E["DISPATCH"]:
            self.parked.discard(v)
        return event in THEN or event in LOADS

    def hold(self, r):
        load = self.of(r[2], "queued", "runs") - len(
            [v for v in self.parked if self.at[v] == (r[2], "queued")])
        if r[5] != load:
            self.untrue.append(f"at tick {r[0]}: {form.name_of(r[1])} says "
                               f"that CPU {r[2]} has a load of {r[5]}, counted "
                               f"{load}")
