from bench import Notes, common, key, probe, seed, value, Service

TITLE = "What a switch costs"
QUESTION = ("Guests that want all of one hart write down when they have it. "
            "Between one's last instruction and the next one's first: how many "
            "instructions? And which part of a CPU is that with slices of 1, "
            "10 and 30 ms? The firmware's count as well.")
COLUMNS = [
    key("policy", "policy"),
    key("vcpus", "vCPUs on the hart"),
    key("guests", "of so many guests"),
    seed(),
    value("switches", "", "switches seen", noise=2, percent=2),
    value("cost", "instructions", "a switch", "less", 10),
    value("part_1_ms", "%", "of a CPU, slices of 1 ms", "less", 0.001),
    value("part_10_ms", "%", "of a CPU, slices of 10 ms", "less", 0.0001),
    value("part_30_ms", "%", "of a CPU, slices of 30 ms", "less", 0.0001),
]

# The parts of a CPU are those of one with so many instructions a second.
HZ = 1e9

# A tick of the timebase is 25 instructions: much less than a switch, of which
# there are many.
SHIFT = 2


def cases(b):
    # vCPUs and guests: a switch inside a guest needs a fence.
    sizes = ((2, 2),) if b.quick else ((2, 2), (8, 8), (8, 1))
    return [{"policy": p, "vcpus": v, "guests": g, "seed": s}
            for v, g in sizes for p in b.policies(v, 1) for s in b.seeds(1)]


def lost_per_switch(b, policy, vcpus, guests, seed, slice_us=1000):
    """(switches, instructions that none of the vCPUs had, for each)"""
    names = [f"g{i}" for i in range(guests)]
    ms = b.seconds(0.4, 0.2) * 1000
    run = b.boot([probe(n, "turns", seed, 0.5 + 0.1 * guests,
                        f"ms={ms:.0f} cooldown_ms={30 + vcpus:d} gap_us=20",
                        vcpus=vcpus // guests, slice_us=slice_us)
                  for n in names],
                 [f"guest wait {' '.join(names)}", "sleep 0.2"], policy, 1,
                 shift=SHIFT, seed=seed)
    turns = [t for n in names for t in Notes(run.said(n)).turns.values()]
    if len(turns) != vcpus:
        return 0, None
    first, last = common(turns)
    ran = sum(s.at(last) - s.at(first) for s in map(Service, turns))
    switches = sum(first < start <= last for t in turns for start, _ in t)
    lost = (last - first - ran) / 2**SHIFT
    return switches, lost / switches if switches else None


def measure(b, policy, vcpus, guests, seed):
    switches, cost = lost_per_switch(b, policy, vcpus, guests, seed)
    return [[policy.name, vcpus, guests, seed, switches, cost,
             *(cost and cost / HZ / (ms / 1e3 + cost / HZ) * 100
               for ms in (1, 10, 30))]]


def plots(done):
    return [{"kind": "bars", "title": "instructions for a switch",
             "x": "policy", "y": "cost", "by": "vcpus",
             "where": {"guests": 8}},
            {"kind": "bars", "title": "two guests, one vCPU each",
             "x": "policy", "y": "cost", "by": "vcpus",
             "where": {"guests": 2}}]
