import re

from bench import LISTS, guest, key, seed, value

TITLE = "More vCPUs, more harts"
QUESTION = ("With two vCPUs and a half for each hart, and slices of 1 ms: how "
            "much of what the harts can do gets done, compared with one guest "
            "alone on one hart? And what becomes of it with many vCPUs on a "
            "hart?")
COLUMNS = [
    key("policy", "policy"),
    key("harts", "harts"),
    key("vcpus", "vCPUs"),
    seed(),
    value("work", "%", "work done", "more", 0.1),
    value("migrations", "1/s", "vCPUs moved", "less", 5),
    value("mails", "1/s", "mails", "less", 50),
]

MS = 1000


def sizes(b):
    if b.quick:
        return [(1, 8)]
    return [(1, n) for n in (2, 8, 32, 128)] + [(n, n * 5 // 2)
                                                for n in (2, 4, 8)]


def cases(b):
    return [{"policy": p, "harts": harts, "vcpus": vcpus, "seed": s}
            for harts, vcpus in sizes(b) for p in b.policies(vcpus, harts)
            for s in b.seeds(1)]


def loops_per_ns(b, policy, harts, vcpus, seed):
    """What all have done together in guest time in which all were at it."""
    each = 8 if vcpus > 8 and harts == 1 else 1
    names = [f"g{i}" for i in range(vcpus // each)]
    ms = b.seconds(MS, MS // 2)
    # Nobody begins or ends to count while another isn't at it.
    run = b.boot([guest(n, "shares", vcpus=each, slice_us=1000,
                        bootargs=f"mode=hog warmup_ms={ms // 2} ms={ms} "
                        f"cooldown_ms={ms // 2}") for n in names],
                 ["sleep 0.7", LISTS, "sleep 0.5", LISTS,
                  f"guest wait {' '.join(names)}", "sleep 1"],
                 policy, harts, shift=4, seed=seed)
    done = re.findall(r"shares: hart \d+ loops (\d+) time_ns (\d+)",
                      "\n".join(run.said(n) for n in names))
    return sum(int(n) / int(ns) for n, ns in done), run


def measure(b, policy, harts, vcpus, seed):
    alone, _ = b.memo("scaling: alone",
                      lambda: loops_per_ns(b, None, 1, 1, 1))
    got, run = loops_per_ns(b, policy, harts, vcpus, seed)
    seen = run.between()
    per_second = 1e9 / seen.elapsed()
    return [[policy.name, harts, vcpus, seed, got / alone * 100,
             sum(seen.vcpus("migrations").values()) * per_second,
             sum(seen.cpus("mails")) * per_second]]


def plots(done):
    return [{"kind": "lines", "title": "work done, 1 hart", "x": "vcpus",
             "y": "work", "by": "policy", "log_x": True,
             "where": {"harts": 1}},
            {"kind": "lines", "title": "work done", "x": "harts", "y": "work",
             "by": "policy", "log_x": True}]
