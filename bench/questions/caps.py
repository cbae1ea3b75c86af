from bench import fair, Claim, guest, hog, key, seed, value

TITLE = "Caps"
QUESTION = ("A guest that wants all that it can get has a cap, in per cent of "
            "one CPU: how much does it get, alone, beside others, with several "
            "vCPUs, and if it sleeps and wakes all the time?")
COLUMNS = [
    key("policy", "policy"),
    key("promised", "looks at caps"),
    key("load", "load"),
    key("guest", "guest"),
    seed(),
    value("harts", "", "harts"),
    value("cap", "%", "cap"),
    value("due", "%", "due"),
    value("got", "%", "got", noise=0.2),
    value("over", "points", "above its cap", "less", 0.2),
    value("short", "points", "below what it is due", "less", 0.2),
]

LOADS = {
    "alone": (1, [("capped", 1, 30)]),
    "beside a hog": (1, [("capped", 1, 25), ("hog", 1, 0)]),
    "three caps and a hog": (1, [("ten", 1, 10), ("twenty", 1, 20),
                                 ("thirty", 1, 30), ("hog", 1, 0)]),
    "four vcpus on two harts": (2, [("capped", 4, 130), ("hog", 2, 0)]),
    "a sleeper": (1, [("boost", 1, 20), ("hog", 1, 0)]),
}


def cases(b):
    return [{"policy": p, "load": load, "seed": s}
            for load, (harts, guests) in b.some(*LOADS.items())
            for p in b.policies(sum(g[1] for g in guests), harts)
            for s in b.seeds(2)]


def measure(b, policy, load, seed):
    harts, given = LOADS[load]
    guests = [guest(n, "shares", vcpus=v, cap=c, bootargs=f"mode=boost "
                    f"run_us={500 + 10 * seed} sleep_us=50 ms=100000000")
              if n == "boost" else
              hog(n, vcpus=v, cap=c or None) for n, v, c in given]
    seen = b.measure(guests, policy, harts, b.seconds(8, 2), shift=5,
                     seed=seed, warm=0.5 + seed / 100)
    got = seen.held()
    due = fair({n: Claim(*[range(harts)] * v, cap=c) for n, v, c in given},
               harts)
    return [[policy.name, "cap" in policy.knobs, load, n, seed, harts, c,
             due[n] * 100, got[n] * 100, max(0, got[n] * 100 - c),
             max(0, (due[n] - got[n]) * 100)]
            for n, _, c in given if c]


def plots(done):
    return [{"kind": "dots", "title": "what guests with a cap got",
             "x": "load", "y": "got", "by": "policy", "target": "due"}]
