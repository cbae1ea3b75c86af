"""The simulator says of a lab what the hypervisor does.

The same guests are run twice under each policy: in QEMU, with time by counted
instructions (-icount), and by rouse-sim, told that an instruction takes as long
as it does there. Shares must agree within 2 % of a CPU, and what a woken guest
waits within a slice. docs/sim.md names the differences that remain.

Counting QEMU runs its harts one after the other, so what wakes on one of
several waits until the others' turns are over. Waits are compared on one hart,
therefore, and shares of those who never sleep on two.
"""

import json
import re
import subprocess
import sys

import matrix
from fairness import LISTS, SHIFT, Between, counted, readings
from harness import Case, TOP
from labs import guest, heard, lab
from trace import Run, complete

sys.path.insert(0, str(TOP / "tools"))
from tracelib import form, model  # noqa: E402

SIM = TOP / "build" / "sim" / "rouse-sim"
REPLAY = TOP / "bench" / "sim" / "replay"
SLICE_US = 10000
WARMUP_S, WINDOW_S = 3, 6

# What a guest does: for guests/baremetal/shares, and for the simulator. That
# guest works in pieces of some 85 us (at 32 ns an instruction) and looks at the
# time after each, so it works for about a piece longer than it is told.
PIECE_US = 85
WORK = {
    "hog": ("mode=hog", "do=hog"),
    "nap": ("mode=boost run_us=900 sleep_us=3000",
            f"do=nap run-us={900 + PIECE_US} sleep-us=3000"),
    "brief": ("mode=boost run_us=200 sleep_us=1800",
              f"do=nap run-us={200 + PIECE_US} sleep-us=1800"),
    "dodger": ("mode=sleeper", f"do=dodger run-us={PIECE_US}"),
    # Its WFI finds something pending, so it never gives its CPU away.
    "yielder": ("mode=yielder", "do=hog"),
}

# Name: [(work, vCPUs, knobs)]. Of the second kind nobody sleeps.
SLEEPERS = {
    "sleepers": [("nap", 1, {}), ("hog", 1, {}), ("hog", 1, {}),
                 ("brief", 1, {"weight": 512})],
    "priorities": [("brief", 1, {"priority": 150}), ("hog", 1, {}),
                   ("hog", 1, {"slice-us": 3000}),
                   ("nap", 1, {"priority": 200})],
    "smp": [("nap", 2, {}), ("hog", 3, {}), ("brief", 1, {})],
    "dodgers": [("dodger", 1, {}), ("hog", 1, {}), ("yielder", 1, {})],
}
HOGS = {
    "weights": [("hog", 1, {"weight": 100}), ("hog", 1, {"weight": 200}),
                ("hog", 1, {"weight": 400})],
    "caps": [("hog", 1, {"cap": 20}), ("hog", 1, {"cap": 35}), ("hog", 1, {})],
    "unequal": [("hog", 1, {"affinity": "0"}), ("hog", 1, {}), ("hog", 3, {})],
}
LABS = {**SLEEPERS, **HOGS}


def in_qemu(t, guests, smp):
    """{guest: (share, mean wait in us)}: how much of a CPU it had, and how
    late those who sleep were woken, as they say themselves."""
    window = (f" warmup_ms={WARMUP_S * 1000} ms={WINDOW_S * 1000}"
              " cooldown_ms=2000")
    m = t.boot(lab=lab(*(guest(n, "shares", vcpus=v, **knobs,
                               bootargs=WORK[w][0] + window)
                         for n, (w, v, knobs) in guests.items()),
                       scheduler=t.args["policy"],
                       boot=[f"sleep {WARMUP_S}", LISTS, f"sleep {WINDOW_S}",
                             LISTS, "guest wait " + " ".join(guests),
                             "poweroff"]),
               smp=smp, options=counted(SHIFT))
    t.equal(m.wait(300), 0, "QEMU's status")
    read = readings(m.text)
    t.equal(len(read), 2, "readings")
    shares = Between(*read).held()
    late = {n: [int(ns) / 1000 for ns in re.findall(
        r"late_mean_ns (\d+)", heard(n, m.text))] for n in guests}
    return {n: (100 * shares[n], sum(late[n]) / len(late[n]) if late[n] else 0)
            for n in guests}


def in_simulation(t, guests, smp):
    text = f"cpus {smp}\nseconds {WINDOW_S}\nwarmup {WARMUP_S}\n"
    for n, (w, v, knobs) in guests.items():
        words = "".join(f" {k}={value}" for k, value in knobs.items())
        text += f"guest {n} vcpus={v} {WORK[w][1]}{words}\n"
    return simulate(t, text, t.args["policy"])


def simulate(t, text, policy):
    scenario, result = t.folder / "lab.sim", t.folder / "result.json"
    scenario.write_text(text)
    subprocess.run([SIM, "--policy", policy, "--quiet", "--set",
                    f"ns_per_instruction={2 ** SHIFT}", "--json", result,
                    scenario], cwd=TOP, check=True, timeout=60)
    rows = json.loads(result.read_text())
    names = [c["name"] for c in rows["columns"]]
    got = {r[0]: dict(zip(names, r)) for r in rows["rows"]}
    return {n: (g["share"], g["wait_mean"]) for n, g in got.items()}


def fitting(work, room):
    """{guest: (work, vCPUs, knobs)}, as many as there is room for."""
    found, used = {}, 0
    for i, (kind, vcpus, knobs) in enumerate(work):
        if room is None or used + vcpus <= room:
            found[f"{kind}{i}"] = kind, vcpus, knobs
            used += vcpus
    return found


def agree(t):
    smp, policy = t.args["smp"], t.args["policy"]
    guests = fitting(LABS[t.args["lab"]], matrix.rooms(policy, smp))
    real, simulated = in_qemu(t, guests, smp), in_simulation(t, guests, smp)
    both = "\n".join(f"{n}: {real[n][0]:.2f} % and {real[n][1]:.0f} us; "
                     f"simulated {simulated[n][0]:.2f} % and "
                     f"{simulated[n][1]:.0f} us" for n in guests)
    (t.folder / "both.txt").write_text(both + "\n")
    if smp > 1:
        # Which of equals shares its CPU depends on who was started when.
        real, simulated = ({n: r for n, r in zip(guests, sorted(x.values()))}
                           for x in (real, simulated))
    for n in guests:
        t.check(abs(real[n][0] - simulated[n][0]) <= 2, f"{n}'s share:\n{both}")
        t.check(abs(real[n][1] - simulated[n][1]) <= SLICE_US,
                f"{n}'s waits:\n{both}")


# --- what another policy would have done ------------------------------------

RECORDED = {"nap": ("nap", {"priority": 200}), "brief": ("brief",
                                                         {"priority": 150}),
            "hog": ("hog", {}), "hog2": ("hog", {})}


def recorded(t, policy):
    """A run in QEMU: {guest: (share, mean wait in us)} by its trace, and the
    trace in a file."""
    guests = [guest(n, "shares", autostart=False, **knobs,
                    bootargs=WORK[w][0] + " ms=100000000")
              for n, (w, knobs) in RECORDED.items()]
    trace = complete(t, Run(t, guests, [
        "trace on sched,life size=4096", f"guest start {' '.join(RECORDED)}",
        "sleep 5", "trace off"], policy, 1).trace)
    path = t.folder / f"{policy}.trace"
    form.write(trace, path)
    told, out = model.Model(trace), {}
    for vcpu, (_, sums) in told.sums().items():
        waits = [w.ran - w.woken for w in told.waits if w.vcpu == vcpu]
        out[trace.names[vcpu].guest] = (
            100 * sums.get(model.RUNNING, 0) / (told.end - told.begin),
            trace.ns(sum(waits)) / len(waits) / 1000 if waits else 0)
    return out, path


def replayed(t):
    """What was recorded under one policy is run again, under it and under
    another one. The same work is done; who waits for how long is what that
    policy does."""
    knobs = [f"{n}:" + ",".join(f"{k}={v}" for k, v in some.items())
             for n, (_, some) in RECORDED.items() if some]
    real, path = recorded(t, t.args["policy"])
    other, _ = recorded(t, t.args["other"])
    t.check(real["nap"][1] > SLICE_US + other["nap"][1],
            f"the two policies do the same: {real}, {other}")
    text = subprocess.run(
        [REPLAY, *(w for k in knobs for w in ("--knobs", k)), path],
        check=True, text=True, stdout=subprocess.PIPE, timeout=60).stdout
    for policy, was in ((t.args["policy"], real), (t.args["other"], other)):
        got = simulate(t, text, policy)
        for n, (_, wait) in was.items():
            # Who never sleeps waits for its start only.
            late = abs(got[n][1] - wait) if wait else 0
            t.check(abs(got[n][0] - real[n][0]) <= 2 and late <= SLICE_US,
                    f"{policy}: {n}: {real[n][0]:.2f} % of work and waits of "
                    f"{wait:.0f} us, replayed {got[n][0]:.2f} % and "
                    f"{got[n][1]:.0f} us")


def tests(full):
    # Where a policy that doesn't level CPUs puts the last of several vCPUs is
    # a matter of who was first.
    rows = [(name, 1) for name in LABS] + [("weights", 2), ("caps", 2)]
    quick = {("sleepers", 1), ("weights", 2)}
    return [Case("a_recorded_run_tells_what_another_policy_would_have_done",
                 replayed, policy="rr", other="fp", shift=SHIFT,
                 timeout=400)] + \
           [Case(f"{name}_on_{smp}_harts_are_as_simulated,{p}", agree, lab=name,
                 smp=smp, policy=p, timeout=400)
            for p in matrix.policies() for name, smp in rows
            if (full or (name, smp) in quick)
            and fitting(LABS[name], matrix.rooms(p, smp))]
