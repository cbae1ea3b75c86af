from bench import LATENCY_COLUMNS, LISTS, Notes, hog, key, probe, seed, value

TITLE = "Three ways to wait"
QUESTION = ("WFI traps, is the hart's own, or polls for up to 2 ms. How late "
            "is a timer and an IPI to a vCPU that waits, alone on its hart and "
            "beside a hog, and what does waiting take from the hog?")
COLUMNS = [
    key("policy", "policy"),
    key("wfi", "WFI"),
    key("source", "woken by"),
    key("beside", "beside"),
    seed(),
    *LATENCY_COLUMNS,
    value("waiter", "%", "the waiting guest had the CPU", "less", 0.2),
    value("hog", "%", "the hog had it", "more", 0.2),
    value("exits", "1/wake", "exits for each wake", "less", 0.05),
]


def cases(b):
    return [{"policy": p, "wfi": wfi, "source": source, "beside": beside,
             "seed": s}
            for source, vcpus in (("timer", 1), ("ipi", 2))
            for beside, more in (("nobody", 0), ("a hog", 1))
            for wfi in ("trap", "native", "poll")
            for p in b.policies(vcpus + more, 1) for s in b.seeds(1)
            if not b.quick or (source, beside) == ("timer", "nobody")]


def measure(b, policy, wfi, source, beside, seed):
    ms = b.seconds(3) * 1000
    mode, vcpus = ("wake", 1) if source == "timer" else ("ipi", 2)
    guests = [probe("waiter", mode, seed, 0.7, f"ms={ms} period_us=1000 "
                    "jitter_us=500 run_us=20",
                    wfi=wfi, vcpus=vcpus,
                    wfi_poll_us=2000 if wfi == "poll" else None)]
    guests += [hog("hog")] if beside == "a hog" else []
    run = b.boot(guests, ["sleep 1", LISTS, f"sleep {ms / 2000}", LISTS,
                          "guest wait waiter", "sleep 1"], policy, 1, shift=3,
                 seed=seed)
    late = Notes(run.said("waiter")).late[vcpus - 1]
    seen = run.between()
    got = seen.held()
    # Native and polling vCPUs may never block: moments stand for wakes.
    wakes = seen.elapsed() / 1.27e6
    exits = sum(n for (name, _), n in seen.vcpus("exits").items()
                if name == "waiter")
    return ([[policy.name, wfi, source, beside, seed, *late.row(),
              got["waiter"] * 100, got["hog"] * 100 if "hog" in got else None,
              exits / wakes]], late.cdf())


def plots(done):
    out = []
    for beside in ("nobody", "a hog"):
        panels = {}
        for case, _, cdf in done:
            if case["beside"] == beside and case["source"] == "timer":
                panels.setdefault(str(case["policy"]), {})[case["wfi"]] = cdf
        if panels:
            out.append({"kind": "cdf", "title": f"timer, beside {beside}",
                        "x_title": "latency [us]", "log": True,
                        "panels": panels})
    return out + [{"kind": "bars", "title": "what the hog got, timer",
                   "x": "policy", "y": "hog", "by": "wfi",
                   "where": {"source": "timer", "beside": "a hog"}}]
