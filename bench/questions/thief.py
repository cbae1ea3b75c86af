from bench import fair, Claim, guest, hog, key, seed, value

TITLE = "Thieves"
QUESTION = ("A guest shares one CPU with an honest hog of the same weight and "
            "tries to get more than its half: by sleeping from just before "
            "each tick, by yielding, by a WFI that has nothing to wait for, by "
            "waking often to be preferred, or by having eight vCPUs. Where the "
            "policy looks at weights, and so promises shares, none may get over "
            "its share + 1 %. The others promise turns: of equal ones each "
            "vCPU has as many, so eight vCPUs have eight ninths, which is no "
            "theft there but what was asked for.")
COLUMNS = [
    key("policy", "policy"),
    key("promised", "looks at weights"),
    key("thief", "thief"),
    seed(),
    value("share", "%", "its share"),
    value("got", "%", "it got", noise=0.3),
    value("hog", "%", "the honest one got", noise=0.3),
    value("over", "points", "over its share", "less", 0.3),
    value("caught", "", "at most 1 % over its share", "more", 0),
]

THIEVES = {
    "eight vcpus": ("mode=hog", 8),
    "sleeps before each 10 ms tick": ("mode=sleeper tick_us=10000", 1),
    "sleeps before each 1 ms tick": ("mode=sleeper tick_us=1000", 1),
    "yields": ("mode=yielder", 1),
    "waits for what is there": ("mode=pending", 1),
    "wakes every 150 us": ("mode=boost run_us=100 sleep_us=50", 1),
    "wakes every 10 ms": ("mode=boost run_us=9500 sleep_us=500", 1),
    "eight that wake in turn": ("mode=boost run_us=900 sleep_us=100", 8),
}


def cases(b):
    return [{"policy": p, "thief": thief, "seed": s}
            for thief in b.some(*THIEVES)
            for p in b.policies(1 + THIEVES[thief][1], 1)
            for s in b.seeds(2)]


def measure(b, policy, thief, seed):
    args, vcpus = THIEVES[thief]
    guests = [hog("hog"), guest("thief", "shares", vcpus=vcpus, bootargs=args
                                + f" phase_us={seed * 137} ms=100000000")]
    # Which of the two starts first is a seed's business.
    guests = guests[::-1] if seed % 2 else guests
    seen = b.measure(guests, policy, 1, b.seconds(8, 2), shift=5, seed=seed)
    got = seen.held()
    due = fair({"hog": Claim({0}), "thief": Claim(*[{0}] * vcpus)}, 1)
    over = (got["thief"] - due["thief"]) * 100
    return [[policy.name, "weight" in policy.knobs, thief, seed,
             due["thief"] * 100, got["thief"] * 100, got["hog"] * 100, over,
             over <= 1]]


def plots(done):
    return [{"kind": "dots",
             "title": "what the thief got, and its share by weight",
             "x": "thief", "y": "got", "by": "policy", "target": "share"}]
