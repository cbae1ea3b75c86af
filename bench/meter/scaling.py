"""How the cost of a wake and of a pick grows with the vCPUs on a hart.

One hart, -icount, and N vCPUs that are all runnable but one: guests of up to
MOST vCPUs each, all on CPU 0. What is queued there is spread as evenly over the
guests as it can be.

Of two, one either waits (pick) or sleeps (wake), so these are two machines. Who
is woken then finds nobody in the queue: what a queue takes at all comes in from
two to four, once, and is told apart from what it grows by.

Before all that nothing happens for REST_US. The console has a timer for a while
after a guest's line, and a wake that finds one set which is earlier than the end
of a turn need not set its own: 14 instructions.
"""

import math

from .figures import Figures
from .guard import ICOUNT
from .machine import GUEST, Run
from .table import UNIT, column, key, stage_names

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
    *[column(f"stage_{s.lower()}", UNIT, f"{s}, typical round",
             noise=16, noise_percent=4)
      for s in stage_names()],
]

SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000)
MOST = 500
# A switch to a vCPU that wasn't its guest's last one takes more than so much
# longer if the guest changes (81), and less if it doesn't.
OTHER_GUEST = 50
REST_US = 150000
# From so many on who is woken finds a queue.
QUEUE_FROM = {"wake": 4}


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


def ran(name, policy, vcpus, words):
    """The rounds of a machine, and its buckets."""
    run = Run(f"scaling-{name}", harts=1, options=ICOUNT, memory="2G",
              append=f"sched={policy}", timeout=600)
    run.guest(GUEST.with_suffix(".elf")).rouse(
        lab(vcpus, f"{words} rest_us={REST_US}"))
    return run.rounds()[0].done, run.map.buckets


def measure(policy, vcpus):
    """{row: Figures.plain()} of wake and pick."""
    name = f"{policy}-{vcpus}"
    # A round of the leader's is many picks of the others.
    words = f"rounds={max(4, min(20, 400 // vcpus))}"
    wakes = f"wakes={max(12, min(100, 16000 // vcpus))}"
    done, buckets = ran(name, policy, vcpus, f"{words} {wakes}")
    found = {"pick": Figures(in_one_guest(done["pick"], buckets), buckets)}
    if vcpus == 2:
        done, buckets = ran(name, policy, vcpus, f"rounds=0 {wakes}")
    found["wake"] = Figures(done["wake"], buckets)
    return {row: f.plain() for row, f in found.items()}


def in_one_guest(rounds, buckets):
    """Those that went on in the same guest. More than MOST vCPUs are of several
    guests, and what a switch to another one takes doesn't depend on how many
    vCPUs there are. (One guest marks picks: what goes by others is two
    switches.)"""
    switch = [sum(n for n, (_, stage, _) in zip(r, buckets)
                  if stage == "switch") for r in rounds]
    least = min(switch)
    return [r for r, n in zip(rounds, switch) if n < least + OTHER_GUEST]


def largest_step(row, sizes):
    """(more for each doubling, from, to) of the steepest step between sizes
    that follow one another, with a queue. sizes: {vcpus: median}; None of fewer
    than three, of which it would be all there is."""
    order = sorted(n for n in sizes if n >= QUEUE_FROM.get(row, 0))
    steps = [((sizes[b] - sizes[a]) / math.log2(b / a), a, b)
             for a, b in zip(order, order[1:])]
    return max(steps) if len(steps) > 1 else None


def queue_takes(row, sizes):
    """What there being a queue takes at all, which is a step of its own; None
    where it isn't among the sizes."""
    first = QUEUE_FROM.get(row, 0)
    less = [n for n in sizes if n < first]
    return sizes[first] - sizes[max(less)] if less and first in sizes else None


def step_words(row, sizes):
    """Of largest_step(), in brackets behind what all grew by; or "". What a
    queue takes at all is told as well."""
    step, once = largest_step(row, sizes), queue_takes(row, sizes)
    if not step:
        return ""
    once = "" if once is None else f"; {once:+d} for a queue at all"
    return f" (at most {step[0]:+.0f}, {step[1]} to {step[2]}{once})"


def is_level(sizes):
    """{vcpus: median}: is none far from the smallest one's?"""
    least = sizes[min(sizes)]
    return all(abs(n - least) <= least * LEVEL_PERCENT / 100
               for n in sizes.values())


def grows(row, sizes, order=True):
    """What is wrong with how it grows, or "": {vcpus: median}. Without an order
    to keep (`order`) there is no reason to grow at all."""
    if is_level(sizes):
        return ""
    if not order:
        return (f"{row}: {min(sizes.values())} to {max(sizes.values())} "
                f"instructions, by how many vCPUs are on the hart")
    first, last = min(sizes), max(sizes)
    mean = (sizes[last] - sizes[first]) / (math.log2(last / first) or 1)
    step = largest_step(row, sizes)
    if step and step[0] > PER_DOUBLING:
        return (f"{row}: {step[0]:.1f} instructions more for each doubling from "
                f"{step[1]} to {step[2]} vCPUs on the hart")
    return f"{row}: {mean:.1f} instructions more for each doubling" \
        if mean > PER_DOUBLING else ""


def summary(lines):
    """A line for each policy and row of lines_of(): how it grows."""
    for policy, row in dict.fromkeys((line[0], line[2]) for line in lines):
        mine = [line for line in lines if line[0] == policy
                and line[2] == row]
        words = step_words(row, {line[1]: line[4] for line in mine})
        yield (f"{policy} {row}: {mine[0][4]} with {mine[0][1]} vCPUs, "
               f"{mine[-1][7]:+.1f} for each doubling up to {mine[-1][1]}"
               f"{words}")


def lines_of(found):
    """Rows of the result. found: {(policy, vcpus): measure()}, smaller ones
    first."""
    first, out = {}, []
    for (policy, vcpus), rows in found.items():
        for row, f in sorted(rows.items()):
            median = f["median"]
            least, size = first.setdefault((policy, row), (median, vcpus))
            steps = math.log2(vcpus / size) or 1
            out.append([policy, vcpus, row, f["n"], median, f["p99"],
                        round(100 * median / least, 1),
                        round((median - least) / steps, 1),
                        *[f["stages"].get(s, 0) for s in stage_names()]])
    return out
