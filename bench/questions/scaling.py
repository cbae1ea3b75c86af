from bench import hog, key, seed, value

TITLE = "More vCPUs, more harts"
QUESTION = ("What becomes of the cost of a switch with 2 to 128 vCPUs on a "
            "hart? And how much of the machine do guests get on 1 to 8 harts "
            "with two vCPUs and a half for each?")
COLUMNS = [
    key("policy", "policy"),
    key("harts", "harts"),
    key("vcpus", "vCPUs"),
    seed(),
    value("guests", "%", "of the machine is the guests'", "more", 0.2),
    value("host", "%", "of the machine is the hypervisor's", "less", 0.05),
    value("switch", "instructions", "hypervisor, for each switch", "less", 25),
    value("migrations", "1/s", "vCPUs moved", "less", 5),
    value("mails", "1/s", "mails", "less", 50),
]

SHIFT = 3


def sizes(b):
    if b.quick:
        return [(1, 8)]
    return [(1, n) for n in (2, 8, 32, 128)] + [(n, n * 5 // 2)
                                                for n in (2, 4, 8)]


def cases(b):
    return [{"policy": p, "harts": harts, "vcpus": vcpus, "seed": s}
            for harts, vcpus in sizes(b) for p in b.policies(vcpus, harts)
            for s in b.seeds(1)]


def measure(b, policy, harts, vcpus, seed):
    each = 8 if vcpus > 8 and harts == 1 else 1
    guests = [hog(f"hog{i}", vcpus=each, slice_us=1000)
              for i in range(vcpus // each)]
    seen = b.measure(guests, policy, harts, b.seconds(1, 0.3), warm=0.5,
                     shift=SHIFT, seed=seed)
    ns = seen.elapsed() * harts
    host, switches = sum(seen.cpus("host_ns")), sum(seen.cpus("switches"))
    per_second = 1e9 / seen.elapsed()
    return [[policy.name, harts, vcpus, seed,
             sum(seen.cpus("guest_ns")) / ns * 100, host / ns * 100,
             host / switches / 2**SHIFT if switches else None,
             sum(seen.vcpus("migrations").values()) * per_second,
             sum(seen.cpus("mails")) * per_second]]


def plots(done):
    return [{"kind": "lines", "title": "instructions for a switch, 1 hart",
             "x": "vcpus", "y": "switch", "by": "policy", "log_x": True,
             "where": {"harts": 1}},
            {"kind": "lines", "title": "the guests' part of the machine",
             "x": "harts", "y": "guests", "by": "policy", "log_x": True}]
