from bench import LATENCY_COLUMNS, LISTS, Notes, hog, key, probe, seed, value

TITLE = "Three ways to wait"
QUESTION = ("WFI traps, is the hart's own, or polls for up to 2 ms. How late "
            "is a timer for a vCPU that waits, alone on its hart and beside a "
            "hog, how much of the hart does waiting take, and how much time "
            "does the hog find stolen (runnable, and not running: what its STA "
            "page says)? Beside the hog all three are alike, and are meant to "
            "be: where anybody else wants the CPU, native and poll trap as "
            "well. What is stolen from it is what the waiting guest works, 20 "
            "us whenever it has its turn, and the switches to it and back.")
COLUMNS = [
    key("policy", "policy"),
    key("wfi", "WFI"),
    key("beside", "beside"),
    seed(),
    *LATENCY_COLUMNS,
    value("waiter", "%", "the waiting guest had the CPU", "less", 0.2),
    value("hog", "%", "the hog had it", "more", 0.2),
    value("waiter_stolen", "%", "stolen from the waiting guest", "less", 0.2),
    value("hog_stolen", "%", "stolen from the hog", "less", 0.2),
    value("exits", "1/wake", "exits for each wake", "less", 0.05),
]


def cases(b):
    return [{"policy": p, "wfi": wfi, "beside": beside, "seed": s}
            for beside, vcpus in (("nobody", 1), ("a hog", 2))
            for wfi in ("trap", "native", "poll")
            for p in b.policies(vcpus, 1) for s in b.seeds(1)
            if not b.quick or beside == "nobody"]


def measure(b, policy, wfi, beside, seed):
    ms = b.seconds(3) * 1000
    guests = [probe("waiter", "wake", seed, 0.7, f"ms={ms} period_us=1000 "
                    "jitter_us=500 run_us=20", wfi=wfi,
                    wfi_poll_us=2000 if wfi == "poll" else None)]
    guests += [hog("hog")] if beside == "a hog" else []
    run = b.boot(guests, ["sleep 1", LISTS, f"sleep {ms / 2000}", LISTS,
                          "guest wait waiter", "sleep 1"], policy, 1, shift=3,
                 seed=seed)
    late = Notes(run.said("waiter")).late[0]
    seen = run.between()
    got = seen.held()
    # STA tells a guest the time in this state, to the tick.
    stolen = {name: ns / seen.elapsed() * 100 for (name, _), ns
              in seen.vcpus("runnable_ns").items()}
    # Native and polling vCPUs may never block: moments stand for wakes.
    wakes = seen.elapsed() / 1.27e6
    return ([[policy.name, wfi, beside, seed, *late.row(),
              got["waiter"] * 100, got["hog"] * 100 if "hog" in got else None,
              stolen["waiter"], stolen.get("hog"),
              seen.vcpus("exits")["waiter", 0] / wakes]], late.cdf())


def plots(done):
    out = []
    for beside in ("nobody", "a hog"):
        panels = {}
        for case, _, cdf in done:
            if case["beside"] == beside:
                panels.setdefault(str(case["policy"]), {})[case["wfi"]] = cdf
        if panels:
            out.append({"kind": "cdf", "title": f"timer, beside {beside}",
                        "x_title": "latency [us]", "log": True,
                        "panels": panels})
    return out + [{"kind": "bars", "title": "what waiting alone takes of the "
                   "hart", "x": "policy", "y": "waiter", "by": "wfi",
                   "where": {"beside": "nobody"}},
                  {"kind": "bars", "title": "stolen from the hog",
                   "x": "policy", "y": "hog_stolen", "by": "wfi",
                   "where": {"beside": "a hog"}}]
