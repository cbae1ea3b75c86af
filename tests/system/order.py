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
LAGS = (E["ACCOUNT"], E["BOOST"])
GONE = [E[n] for n in ("HANDOVER", "VCPU_OFF", "VCPU_PAUSE")]
PREEMPTED, EXPIRED = 2, 3  # enum sched_why


def by_arrival(trace, level):
    dispatches = sum(r[1] == E["DISPATCH"] for r in trace.merged())
    return dispatches, model.queue_order(trace, level)


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
            if event in LAGS:
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
