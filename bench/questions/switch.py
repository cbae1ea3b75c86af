from bench import hog, key, seed, value

TITLE = "What a switch costs"
QUESTION = ("Hogs on one hart with the shortest slice: how many instructions "
            "does the hypervisor spend for each switch, and which part of the "
            "CPU with slices of 1, 10 and 30 ms? One that is alone shows what "
            "there is without switches.")
COLUMNS = [
    key("policy", "policy"),
    key("hogs", "hogs"),
    seed(),
    value("switches", "", "switches seen"),
    value("host", "instructions", "hypervisor, for each switch", "less", 5),
    value("part_1_ms", "%", "of a CPU, slices of 1 ms", "less", 0.001),
    value("part_10_ms", "%", "of a CPU, slices of 10 ms", "less", 0.0001),
    value("part_30_ms", "%", "of a CPU, slices of 30 ms", "less", 0.0001),
]

# So many instructions a second are assumed for the parts of a CPU.
HZ = 1e9


def cases(b):
    return [{"policy": p, "hogs": hogs, "seed": s}
            for hogs in ((2,) if b.quick else (1, 2, 8))
            for p in b.policies(hogs, 1) for s in b.seeds(1)]


def measure(b, policy, hogs, seed):
    """An instruction is a nanosecond here."""
    guests = [hog(f"hog{i}", slice_us=100, memory="8M") for i in range(hogs)]
    seen = b.measure(guests, policy, 1, b.seconds(0.5, 0.2), warm=0.2,
                     shift=0, seed=seed)
    switches = seen.cpus("switches")[0]
    host = seen.cpus("host_ns")[0] / switches if switches > 20 else None
    return [[policy.name, hogs, seed, switches, host,
             *(host and host / HZ / (ms / 1e3 + host / HZ) * 100
               for ms in (1, 10, 30))]]


def plots(done):
    return [{"kind": "bars", "title": "instructions for a switch",
             "x": "policy", "y": "host", "by": "hogs"}]
