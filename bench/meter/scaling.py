"""How the cost of a wake and of a pick grows with the vCPUs on a hart.

One hart, -icount, and N vCPUs that are all runnable but one: guests of up to
MOST vCPUs each, all on CPU 0. What is queued there is spread as evenly over the
guests as it can be.
"""

import math

from .figures import Figures
from .guard import ICOUNT
from .machine import GUEST, Run
from .table import UNIT, column, key

TITLE = "Wake and pick, by vCPUs on a hart"
QUESTION = ("What do a wake and a pick cost with 2 to 2,000 vCPUs on a hart? "
            "(A policy with room for one vCPU a hart has nothing that could "
            "grow.)")
# What is aimed at: no growth at all, or so much for each doubling.
LEVEL_PERCENT, PER_DOUBLING = 5, 15
COLUMNS = [
    key("policy"), key("vcpus", "", "vCPUs on the hart"),
    key("row", "", "operation"),
    column("n", "rounds", compare=False),
    column("median", UNIT, better="less", noise=1, noise_percent=2),
    column("p99", UNIT, better="less", noise=20, noise_percent=10, of="n",
           enough=500),
    column("of_first", "%", "of the smallest one's", noise=1),
    column("per_doubling", UNIT, "more for each doubling", noise=2),
]

SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000)
MOST = 500
# A switch to a vCPU that wasn't its guest's last one takes more than so much
# longer if the guest changes (68), and less if it doesn't.
OTHER_GUEST = 50


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
              memory="2G", append=f"sched={policy}", timeout=600)
    run.guest(GUEST.with_suffix(".elf")).rouse(
        lab(vcpus, f"rounds={max(2, min(rounds, 2000 // vcpus))}"))
    found, _ = run.rounds()
    done = dict(found.done)
    done["pick"] = in_one_guest(with_leader(found), run.map.buckets)
    return {row: Figures(done[row], run.map.buckets) for row in done}


def with_leader(found):
    """The picks before the leader went to the end of it all: the others go on
    meanwhile, one fewer. Of two none is left."""
    ends = [spans[-1][2] for spans in found.spans.get("wake", [])]
    return [r for r, spans in zip(found.done["pick"], found.spans["pick"])
            if not ends or spans[0][1] <= max(ends)]


def in_one_guest(rounds, buckets):
    """Those that went on in the same guest. More than MOST vCPUs are of several
    guests, and what a switch to another one takes doesn't depend on how many
    vCPUs there are."""
    switch = [sum(n for n, (_, stage, _) in zip(r, buckets)
                  if stage == "switch") for r in rounds]
    least = min(switch)
    return [r for r, n in zip(rounds, switch) if n < least + OTHER_GUEST]


def largest_step(sizes):
    """(more for each doubling, from, to) of the steepest step between sizes
    that follow one another. sizes: {vcpus: median}; None of fewer than three,
    of which it would be all there is."""
    order = sorted(sizes)
    steps = [((sizes[b] - sizes[a]) / math.log2(b / a), a, b)
             for a, b in zip(order, order[1:])]
    return max(steps) if len(steps) > 1 else None


def step_words(sizes):
    """Of largest_step(), in brackets behind what all grew by; or ""."""
    step = largest_step(sizes)
    return f" (at most {step[0]:+.0f}, {step[1]} to {step[2]})" if step else ""


def summary(lines):
    """A line for each policy and row of lines_of(): how it grows."""
    for policy, row in dict.fromkeys((line[0], line[2]) for line in lines):
        mine = [line for line in lines if line[0] == policy
                and line[2] == row]
        words = step_words({line[1]: line[4] for line in mine})
        yield (f"{policy} {row}: {mine[0][4]} with {mine[0][1]} vCPUs, "
               f"{mine[-1][7]:+.1f} for each doubling up to {mine[-1][1]}"
               f"{words}")


def lines_of(found):
    """Rows of the result. found: {(policy, vcpus): {row: Figures}}, smaller
    ones first."""
    first, out = {}, []
    for (policy, vcpus), rows in found.items():
        for row, f in sorted(rows.items()):
            least, size = first.setdefault((policy, row), (f.median, vcpus))
            steps = math.log2(vcpus / size) or 1
            out.append([policy, vcpus, row, f.n, f.median, f.p99,
                        round(100 * f.median / least, 1),
                        round((f.median - least) / steps, 1)])
    return out
