import statistics

from bench import key, value
from meter import waiting
from meter.images import MeterError
from meter.machine import MACHINES

# Where in a look an IPI finds one that polls is chance.
NOISE = 40
TITLE = "Three ways to wait for an IPI"
QUESTION = ("A vCPU waits in WFI, alone on its hart, and one on another hart "
            "sends it an IPI: how many instructions from there to its handler? "
            "Where WFI traps or is the hart's own it has waited for 5 ms; if it "
            "polls, for one. Counted by the meter, as in its row for a vCPU "
            "asleep: the sender's until it rings, or all of its call if it "
            "doesn't; the receiver's from then on. Nobody rings for one that "
            "polls, and the rest of a look that found nothing is on the way to "
            "its handler. Beside others there is no difference to be seen: native "
            "and poll trap then.")
COLUMNS = [
    key("policy", "policy"),
    key("machine", "machine"),
    key("wfi", "WFI"),
    {**value("n", "", "rounds"), "compare": False},
    value("median", "instructions", "median", "less", NOISE),
    {**value("p99", "instructions", "99th percentile"), "compare": False},
    value("sender", "instructions", "the sender's", "less", 0),
    value("receiver", "instructions", "the receiver's", "less", NOISE),
]
# Two harts of this machine are two threads of the build host.
ALONE = True
COST_S = 3

ROUNDS = 100
# A doorbell through the firmware, and the best there is.
KINDS = ("virt", "aia")


def cases(b):
    return [{"machine": kind, "wfi": wfi, "policy": p}
            for kind in b.some(*reversed(KINDS))
            for wfi in waiting.WAYS
            for p in b.policies(2, 2)]


def measure(b, machine, wfi, policy):
    found = waiting.measure(machine, policy.name, wfi,
                            b.seconds(ROUNDS, 40))
    if not found:
        raise MeterError(f"{machine}, {policy}, {wfi}: every round was dropped")
    figures, sent, received = found
    return [[policy.name, MACHINES[machine], wfi, figures.n, figures.median,
             figures.p99, statistics.median_low(sent),
             statistics.median_low(received)]]


def plots(done):
    return [{"kind": "bars", "title": f"{kind}: median [instructions]",
             "x": "wfi", "y": "median", "by": "policy",
             "where": {"machine": MACHINES[kind]}} for kind in KINDS
            if any(case["machine"] == kind for case, _, _ in done)]
