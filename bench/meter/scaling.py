"""How the cost of a wake and of a pick grows with the vCPUs on a hart.

One hart, -icount, and N vCPUs that are all runnable but one: guests of up to
MOST vCPUs each, all on CPU 0. What is queued there is spread as evenly over the
guests as it can be.
"""

from .figures import Figures
from .guard import ICOUNT
from .machine import GUEST, Run

SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000)
MOST = 500


def lab(vcpus, words):
    """A lab with so many vCPUs; the first guest leads."""
    guests, left = [], vcpus
    count = -(-vcpus // MOST)
    for i in range(count):
        mine = left // (count - i)
        left -= mine
        guests.append(f"""
		g{i} {{
			vcpus = <{mine}>;
			affinity = "0";
			memory = "18M";
			slice-us = <100000>;
			kernel = "baremetal/meter.elf";
			bootargs = "role=crowd crowd={mine} lead={int(not i)} {words}";
			on-poweroff = "host-poweroff";
			autostart;
			devices {{
				plic {{ absent; }};
				uart {{ absent; }};
				rtc {{ absent; }};
			}};
		}};""")
    # The leader last: it ends everything.
    return ('/dts-v1/;\n/ {\n\tcompatible = "rouse,lab";\n\tseed = <1>;\n'
            "\tguests {" + "".join(guests[1:] + guests[:1]) + "\n\t};\n};\n")


def measure(policy, vcpus, rounds=20):
    """{row: Figures} of wake and pick."""
    run = Run(f"scaling-{policy}-{vcpus}", harts=1, options=ICOUNT,
              memory="2G", append=f"sched={policy}", timeout=160)
    run.guest(GUEST.with_suffix(".elf")).rouse(
        lab(vcpus, f"rounds={max(2, min(rounds, 2000 // vcpus))}"))
    found, _ = run.rounds()
    return {row: Figures(done, run.map.buckets)
            for row, done in found.done.items()}
