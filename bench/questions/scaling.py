import re

from bench import guest, harness, key, seed, value, wall_ms

TITLE = "More vCPUs, more harts"
QUESTION = ("With two vCPUs and a half for each hart, and slices of 1 ms: how "
            "much of what the harts can do gets done, compared with one guest "
            "alone on one hart? And what becomes of it with many vCPUs on a "
            "hart? (Harts of a machine that counts instructions take turns: "
            "all together can do 100 %. Its time is slower by as many times as "
            "there are harts, so that in a slice there are 62,500 instructions "
            "on any number of them. What is missing is what the switches take, "
            "of which a policy that levels the harts has more: none of them is "
            "left with one vCPU, for which there is nothing to switch to.)")
COLUMNS = [
    key("policy", "policy"),
    key("harts", "harts"),
    key("vcpus", "vCPUs"),
    seed(),
    value("work", "%", "work done", "more", 0.1),
]

MS = 1000
SHIFT = 4       # on one hart


def shift_of(harts):
    """With which each of so many harts, a power of two, does as much in a slice
    as one alone does."""
    return SHIFT - (harts.bit_length() - 1)


def sizes(b):
    if b.quick:
        return [(1, 8)]
    return [(1, n) for n in (2, 8, 32, 128)] + [(n, n * 5 // 2)
                                                for n in (2, 4, 8)]


def cases(b):
    return [{"policy": p, "harts": harts, "vcpus": vcpus, "seed": s}
            for harts, vcpus in sizes(b) for p in b.policies(vcpus, harts)
            for s in b.seeds(1)]


def loops_per_instruction(b, policy, harts, vcpus, seed):
    """What all have done together in the same stretch of the machine's time."""
    each = 8 if vcpus > 8 and harts == 1 else 1
    names = [f"g{i}" for i in range(vcpus // each)]
    # Some 60 million instructions of all harts.
    shift = shift_of(harts)
    ms = b.seconds(MS, MS // 2) >> (SHIFT - shift)
    # All sleep until shortly before.
    at = 2 + 0.05 * vcpus * harts
    run = b.boot([guest(n, "shares", vcpus=each, slice_us=1000,
                        bootargs=f"mode=hog at_ms={wall_ms(at)} ms={ms} "
                        "warmup_ms=400 cooldown_ms=100") for n in names],
                 [f"guest wait {' '.join(names)}", "sleep 1"], policy, harts,
                 shift=shift, seed=seed)
    done = re.findall(r"shares: hart \d+ loops (\d+) time_ns (\d+)",
                      "\n".join(run.said(n) for n in names))
    if len(done) != vcpus:
        raise harness.Failure(f"{len(done)} of {vcpus} vCPUs said what they "
                              "did:\n" + run.text[-800:])
    return sum(int(n) / (int(ns) >> shift) for n, ns in done)


def measure(b, policy, harts, vcpus, seed):
    alone = b.memo("scaling: alone",
                   lambda: loops_per_instruction(b, None, 1, 1, 1))
    got = loops_per_instruction(b, policy, harts, vcpus, seed)
    if got > 1.01 * alone:
        raise harness.Failure(f"{got / alone * 100:.1f} % was done of what can "
                              "be: they were not all at it")
    return [[policy.name, harts, vcpus, seed, got / alone * 100]]


def plots(done):
    names = [c["name"] for c in COLUMNS]
    rows = [dict(zip(names, row)) for _, some, _ in done for row in some]
    return [{"kind": "lines", "title": "work done, 1 hart", "x": "vcpus",
             "y": "work", "by": "policy", "log_x": True,
             "where": {"harts": 1}},
            {"kind": "lines", "title": "work done, 5 vCPUs on 2 harts each",
             "x": "harts", "y": "work", "by": "policy", "log_x": True,
             "data": [r for r in rows if r["vcpus"] == r["harts"] * 5 // 2]}]
