import re

from bench import LATENCY_COLUMNS, Latency, harness, key, linux, seed

TITLE = "cyclictest beside stress-ng"
QUESTION = ("A Linux guest runs cyclictest on a hart that it has alone, or "
            "shares with a Linux guest that runs stress-ng on two vCPUs, with "
            "knobs alike or with twice the weight and twice the priority: how "
            "late do its threads wake up?")
COLUMNS = [
    key("policy", "policy"),
    key("beside", "beside"),
    key("knobs", "cyclictest's knobs"),
    seed(),
    *LATENCY_COLUMNS,
]

# 2 ns an instruction: a hart that is slower has not done its chores after a
# start when the measurement begins.
SHIFT = 1
KNOBS = {"alike": {}, "preferred": {"weight": 512, "priority": 200}}

COST_S = 15


def cases(b):
    kinds = [("nobody", "alike", 1), ("stress-ng", "alike", 3),
             ("stress-ng", "preferred", 3)]
    return [{"policy": p, "beside": beside, "knobs": knobs, "seed": s}
            for beside, knobs, vcpus in (kinds[:1] if b.quick else kinds)
            for p in b.policies(vcpus, 1) for s in b.seeds(1)]


def measure(b, policy, beside, knobs, seed):
    loops = b.seconds(1000, 300)
    # The histogram comes in one piece, and shell words keep lines short.
    work = (f"sleep 2; cyclictest -q -p 90 -i 2000 -l {loops} -h 400000 "
            ">/tmp/h; grep -v 000000$ /tmp/h")
    guests = [linux("cyclictest", f"quiet run=\"{work}\"", vcpus=1,
                    initrd="linux/initrd.gz", memory="192M", **KNOBS[knobs])]
    if beside != "nobody":
        guests.append(linux("stress", "quiet run=\"stress-ng --cpu 2 --seed "
                            f"{seed}\"", vcpus=2, memory="192M",
                            initrd="linux/initrd.gz"))
    run = b.boot(guests, ["watch cyclictest", "guest wait cyclictest",
                          "sleep 1"], policy, 1, shift=SHIFT, seed=seed)
    late = Latency()
    for us, count in re.findall(r"^(\d{6}) (\d{6})$", run.said("cyclictest"),
                                re.M):
        late.add(int(us), int(count))
    if not late.count:
        raise harness.Failure("cyclictest has said nothing:\n"
                              + run.said("cyclictest")[-800:])
    return [[policy.name, beside, knobs, seed, *late.row()]], late.cdf()


def plots(done):
    out = []
    for knobs in KNOBS:
        curves = {f"{c['policy']}" + (", alone" if c["beside"] == "nobody"
                                      else ""): cdf
                  for c, _, cdf in done
                  if c["knobs"] == knobs or c["beside"] == "nobody"}
        out.append({"kind": "cdf", "title": f"cyclictest, knobs {knobs}",
                    "x_title": "latency [us]", "log": True, "curves": curves})
    return out
