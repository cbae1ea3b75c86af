"""What the whole-system tests are repeated over, and the smallest part of it
that leaves no pair out.

A *choice* is a name and its values; a configuration picks a value of each. A
full run takes every configuration, a quick one the rows of `pairs`: any two
values of different choices meet in at least one of them, and most faults that
need a certain configuration at all need no more than two of its values.
"""

import itertools
import re

from harness import CPU, TOP

# Interrupt hardware of the host, and the doorbell that is to be used there
# (None: Rouse's choice, which is the best there is).
HOSTS = {
    "plic": ("virt", None),
    "aclint": ("virt,aclint=on", None),
    "aclint-sbi": ("virt,aclint=on", "sbi"),
    "aia": ("virt,aia=aplic-imsic,aia-guests=3", None),
    "aia-sbi": ("virt,aia=aplic-imsic,aia-guests=3", "sbi"),
}
BEST_DOORBELL = {"plic": "sbi", "aclint": "sswi", "aia": "imsic"}

HARTS = (1, 2, 4, 8)


def policies():
    """Every policy that is built, as the Makefile lists them."""
    text = (TOP / "Makefile").read_text()
    return re.search(r"^POLICIES *:?= *(.*)$", text, re.M).group(1).split()


def rooms(policy, harts):
    """How many vCPUs a policy has room for; None: any number. The policy's own
    file says how many a CPU can have."""
    text = (TOP / "kernel" / "sched" / f"{policy}.c").read_text()
    each = re.search(r"\.units_per_cpu = (\d+),", text)
    return harts * int(each.group(1)) if each else None


def sharing():
    """Those that have room for any number of vCPUs."""
    return [p for p in policies() if rooms(p, 1) is None]


def looking_at(knob):
    """Those that look at a knob, as their own list says."""
    found = []
    for policy in policies():
        text = (TOP / "kernel" / "sched" / f"{policy}.c").read_text()
        knobs = re.search(r"_knobs\[\] = \{([^}]*)\}", text)
        if knobs and f'"{knob}"' in knobs.group(1):
            found.append(policy)
    return found


def default():
    """The one that Rouse takes if nobody says which; or, if that has room for
    few, the first that has more."""
    text = (TOP / "Makefile").read_text()
    name = re.search(r"^DEFAULT_POLICY *:?= *(\S+)$", text, re.M).group(1)
    return name if name in sharing() else sharing()[0]


def sharing_or_default(full):
    """Where a quick run asks one policy, and a full one all."""
    return sharing() if full else [default()]


def product(choices):
    """Every configuration, as {choice: value}."""
    return [dict(zip(choices, values))
            for values in itertools.product(*choices.values())]


def pairs(choices):
    """Configurations in which every pair of values occurs.

    Greedy: of all configurations take the one with the most pairs that have
    not occurred, until none is left. The first of equals is taken, so that
    equal choices give equal rows, and a row's name is the same test each time.
    """
    rows = product(choices)
    left = set()
    for row in rows:
        left.update(_pairs_of(row))
    taken = []
    while left:
        best = max(rows, key=lambda row: len(_pairs_of(row) & left))
        taken.append(best)
        left -= _pairs_of(best)
    return taken


def _pairs_of(row):
    return set(itertools.combinations(sorted(row.items(), key=str), 2))


def configurations(full, **choices):
    """Configurations of whole machines: the usual choices, or those given.

    Each row has at least smp, sstc and host; `options` makes machine options
    and words of Rouse's command line of it, `label` a name.
    """
    usual = {"smp": HARTS, "sstc": (True, False), "host": tuple(HOSTS)}
    usual.update(choices)
    return product(usual) if full else pairs(usual)


def label(row):
    words = []
    for key, value in row.items():
        if key == "smp":
            words.append("1_hart" if value == 1 else f"{value}_harts")
        elif key == "sstc":
            words.append("sstc" if value else "no_sstc")
        else:
            words.append(str(value))
    return ",".join(words)


def options(row, append=""):
    """Keyword arguments of Test.boot for a configuration."""
    machine, doorbell = HOSTS[row["host"]]
    words = [append] if append else []
    if "policy" in row:
        words.append(f"sched={row['policy']}")
    if doorbell:
        words.append(f"doorbell={doorbell}")
    if "vmid" in row:
        words.append(f"vmid-bits={row['vmid']}")
    return {"smp": row["smp"], "machine": machine,
            "cpu": CPU + ("" if row["sstc"] else ",sstc=off"),
            "append": " ".join(words)}


def expect_host(m, row):
    """Rouse says in its log what it makes use of: is it what was asked for?"""
    host, _, asked = row["host"].partition("-")
    doorbell = asked or BEST_DOORBELL[host]
    timer = "sstc" if row["sstc"] else "sbi"
    m.expect(rf"cpus: {row['smp']} of {row['smp']} harts", 60)
    m.expect(rf"host: doorbell {doorbell}, timer {timer}, "
             rf"interrupts {'aplic-imsic' if host == 'aia' else 'plic'}\n", 60)
