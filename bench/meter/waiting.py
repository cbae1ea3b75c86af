"""An IPI to a vCPU that waits in WFI, by what its WFI does.

Two harts with a vCPU each, both of one guest, and nobody else: the second vCPU
waits and the first one wakes it. It is the row `ipi_asleep`, but one that polls
is not asleep: its hart looks for interrupts all the time, and nobody rings.
What it has done before there was one to find isn't on the way; so the sender's
whole call counts, and from then on what the receiver does until its handler. A
round in which the host kept it for so long that it had given up is dropped.
"""

from .figures import Figures
from .machine import GUEST, MACHINES, Run

ROW = "ipi_asleep"
WAYS = ("trap", "native", "poll")
# One that polls looks for up to 10 ms, and learns how long is worth it; the
# others sleep as in the meter's table.
WAIT_US = {"trap": 5000, "native": 5000, "poll": 1000}
POLL_US = 10000


def lab(wfi):
    return f"""/dts-v1/;
/ {{
	compatible = "rouse,lab";
	poweroff = "when-done";
	seed = <1>;
	guests {{
		meter {{
			vcpus = <2>;
			pin = <0 1>;
			memory = "18M";
			wfi = "{wfi}";
			wfi-poll-us = <{POLL_US}>;
			kernel = "baremetal/meter.elf";
			bootargs = "far=1 rows={ROW}";
			autostart;
		}};
	}};
}};
"""


def measure(key, policy, wfi, rounds):
    """(Figures, [the sender's part of each round], [the receiver's]), or None
    if no round is one."""
    run = Run(f"waiting-{key}-{policy}-{wfi}", MACHINES[key],
              append=f"sched={policy}", timeout=60 + rounds * 0.5)
    run.guest(GUEST.with_suffix(".elf")).rouse(
        lab(wfi), f"rounds={rounds} sleep_us={WAIT_US[wfi]} settle_us=50000")
    found, _ = run.rounds({ROW: "polling"} if wfi == "poll" else {})
    if ROW not in found.done:
        return None
    return (Figures(found.done[ROW], run.map.buckets),
            *map(list, zip(*found.halves[ROW])))
