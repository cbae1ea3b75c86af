"""That nobody runs while another one should: by the records of a trace, in the
form that the policy's kind has.

    by_arrival(trace, level)     turns in order of arrival, within a level
    by_lag(trace, turn_ticks)    turns by virtual time, as the policy records it
    by_wait(trace, ticks)        nobody who could run waits for longer

Each returns (how much was compared, sentences about who was passed over).
"""

import sys
from collections import defaultdict

from harness import TOP

sys.path.insert(0, str(TOP / "tools"))
from tracelib import form, model  # noqa: E402

E = form.NUMBER
GONE = [E[n] for n in ("HANDOVER", "VCPU_OFF", "VCPU_PAUSE")]
QUEUES = [E["ENQUEUE"], E["DISPATCH"], *GONE]
PREEMPTED, EXPIRED = 2, 3  # enum sched_why


def before(queue, vcpu, level):
    """Those that are to have the CPU before it does."""
    return [v for v in queue if level(v) > level(vcpu)] + \
        [v for v in queue[:queue.index(vcpu)] if level(v) == level(vcpu)]


def by_arrival(trace, level):
    """level(vcpu): larger ones come first. Who was preempted comes before its
    equals; everyone else goes to the end."""
    queues, dispatches, bad = defaultdict(list), 0, []
    begin, _ = trace.span()
    for time, event, cpu, vcpu, a, _ in trace.merged():
        queue = queues[cpu]
        if event == E["DISPATCH"]:
            dispatches += 1
            if vcpu in queue and time >= begin:
                bad += [f"at tick {time}: CPU {cpu} runs {trace.who(vcpu)} "
                        f"while {trace.who(first)} waits"
                        for first in before(queue, vcpu, level)[:1]]
        if event in QUEUES and vcpu in queue:
            queue.remove(vcpu)
        if event == E["ENQUEUE"]:
            queue.insert(0 if a == PREEMPTED else len(queue), vcpu)
    return dispatches, bad


def by_wait(trace, ticks):
    waits = [(s.end - s.begin, vcpu, s)
             for vcpu, spans in model.Model(trace).states.items()
             for s in spans if s.what == model.RUNNABLE]
    return len(waits), [
        f"at tick {s.begin}: {trace.who(vcpu)} waits for {waited} ticks"
        for waited, vcpu, s in waits if waited > ticks]


class Lags:
    """Who is further behind, as far as records tell.

    A lag is against the time of the vCPU's CPU, which only goes on while anyone
    waits there. So one that waits is at least as far behind as it was when its
    lag was recorded; two are compared where that makes the answer certain.
    """

    def __init__(self, trace, turn_ticks):
        self.trace, self.turn_ticks = trace, turn_ticks
        self.said = {}                   # vCPU: (when, its lag)
        self.waits = defaultdict(dict)   # CPU: {vCPU: since}
        self.runs = {}                   # CPU: (vCPU, since)
        self.compared, self.bad = 0, []
        for time, event, cpu, vcpu, a, _ in trace.merged():
            if event in form.LAGS:
                self.said[vcpu] = (time, form.signed(a))
                self.ran(cpu, vcpu, time)
            elif event == E["ENQUEUE"]:
                self.waits[cpu][vcpu] = time
                # Else it is set anew, which may not be recorded.
                if a not in (PREEMPTED, EXPIRED):
                    self.said.pop(vcpu, None)
            elif event == E["DISPATCH"]:
                self.waits[cpu].pop(vcpu, None)
                self.runs[cpu] = (vcpu, time)
                self.picked(cpu, vcpu, time)
            elif event in GONE:
                self.waits[cpu].pop(vcpu, None)
                self.said.pop(vcpu, None)

    def picked(self, cpu, vcpu, time):
        """Its lag is the later one, and was less even then."""
        at, lag = self.said.get(vcpu, (0, 0))
        for other in self.waits[cpu] if at else ():
            then, more = self.said.get(other, (at + 1, 0))
            if then <= at:
                self.check(more <= lag, time, cpu, vcpu, other)

    def ran(self, cpu, vcpu, time):
        """It is behind by that after so much of its turn."""
        who, begun = self.runs.get(cpu, (None, 0))
        for other, since in self.waits[cpu].items() if who == vcpu else ():
            if other in self.said and other != vcpu:
                self.check(time - max(begun, since) <= self.turn_ticks or
                           self.said[other][1] <= self.said[vcpu][1],
                           time, cpu, vcpu, other)

    def check(self, good, time, cpu, vcpu, other):
        self.compared += 1
        if not good:
            self.bad.append(
                f"at tick {time}: CPU {cpu} runs {self.trace.who(vcpu)}, which "
                f"is behind by {self.said[vcpu][1]}, while "
                f"{self.trace.who(other)} waits, behind by "
                f"{self.said[other][1]}")


def by_lag(trace, turn_ticks):
    lags = Lags(trace, turn_ticks)
    return lags.compared, lags.bad
