"""The simulator says of a lab what the hypervisor does.

Benchmarks' questions are asked twice, of machines in QEMU, with time by counted
instructions (-icount), and of the simulator, told that an instruction takes as
long as it does there. Each case of a question is its own file's
(bench/questions), guests and all: bench/simulated.py is what makes scenarios of
them. How near shares and times must be to one another is said below, at near().
docs/sim.md says which questions these are, and names the differences that remain.

So are guests of more kinds than the benchmarks have, of several vCPUs.

Counting QEMU runs its harts one after the other, so what wakes on one of
several waits until the others' turns are over. Waits are compared on one hart,
therefore, and shares of those who never sleep on more.
"""

import functools
import re
import subprocess
import sys

import matrix
from fairness import LISTS, SHIFT, Between, counted, readings
from harness import Case, TOP
from labs import guest, heard, lab
from trace import Run, complete

sys.path.insert(0, str(TOP / "bench"))
import bench  # noqa: E402
import compared  # noqa: E402
import results  # noqa: E402
from simulated import Simulated  # noqa: E402
from tracelib import form, model  # noqa: E402

SIM = TOP / "build" / "sim" / "rouse-sim"
REPLAY = TOP / "bench" / "sim" / "replay"
SLICE_US = 10000
WARMUP_S, WINDOW_S = 3, 6
KNOBS = ("weight", "cap", "priority", "slice-us")

# What the benchmarks ask and the simulator can answer.
QUESTIONS = [name for name, c in compared.QUESTIONS.items() if c.what]
# In `make test`, of each the first that a policy has: a question of waits, one of
# who wakes often, and one of shares.
QUICK = (({"question": "latency", "hogs": 4, "knobs": "alike"},
          {"question": "latency", "hogs": 0}),
         ({"question": "thief", "thief": "wakes every 150 us"},),
         ({"question": "caps", "load": "four vcpus on two harts"},
          {"question": "fairness"},
          {"question": "caps", "load": "alone"}))
# Not compared: per cent of other figures, which are; and the longest of all
# waits, since that of a guest which was a hog until then depends on how much of
# its turn was over at that moment.
LEFT_OUT = ("error", "max")

# Shares are in per cent of a CPU: within half of one of each other, and small
# ones within a twentieth of themselves.
USUAL, PART, LEAST = 0.5, 0.05, 0.1
# In a quick run's two seconds a turn more or less is as much again.
USUAL_QUICK = USUAL + 0.5
# Who wakes, sleeps or yields a thousand times a second has a piece of work more
# or less for some dozen instructions: so much, then.
ROUGH = {"wfi": 2, "scaling": 1}
RESTLESS, RESTLESS_POINTS = ("wake", "sleep", "yield"), 2
# And several counted harts of QEMU's wait for one another.
HARTS_POINTS = 1
# Times: what is written down of longer ones is a bin of a histogram.
TIME_US, TIME_PART = 300, 0.03
# The greatest lag is that of one turn that came too late, or did not.
LAG = re.compile("lag_")

# What a guest of guests/baremetal/shares does.
WORK = {
    "hog": "mode=hog",
    "nap": "mode=boost run_us=900 sleep_us=3000",
    "brief": "mode=boost run_us=200 sleep_us=1800",
    # Not a slice long: then who was first would decide whether it meets ticks.
    "dodger": "mode=sleeper tick_us=8300",
    "yielder": "mode=yielder",
    "pending": "mode=pending",
}

# Name: [(work, vCPUs, knobs)]. Of the second kind nobody sleeps.
SLEEPERS = {
    "sleepers": [("nap", 1, {}), ("hog", 1, {}), ("hog", 1, {}),
                 ("brief", 1, {"weight": 512})],
    "priorities": [("brief", 1, {"priority": 150}), ("hog", 1, {}),
                   ("hog", 1, {"slice-us": 3000}),
                   ("nap", 1, {"priority": 200})],
    "smp": [("nap", 2, {}), ("hog", 3, {}), ("brief", 1, {})],
    "dodgers": [("dodger", 1, {}), ("hog", 1, {}), ("yielder", 1, {}),
                ("pending", 1, {})],
}
HOGS = {
    "weights": [("hog", 1, {"weight": 100}), ("hog", 1, {"weight": 200}),
                ("hog", 1, {"weight": 400})],
    "caps": [("hog", 1, {"cap": 20}), ("hog", 1, {"cap": 35}), ("hog", 1, {})],
    "unequal": [("hog", 1, {"affinity": "0"}), ("hog", 1, {}), ("hog", 3, {})],
}
LABS = {**SLEEPERS, **HOGS}


# --- the benchmarks' questions -----------------------------------------------


@functools.cache
def policies():
    """As the hypervisor lists them, without asking it."""
    return [bench.Policy({"name": p, "knobs": [k for k in KNOBS
                                               if p in matrix.looking_at(k)],
                          "units_per_cpu": matrix.rooms(p, 1) or 0})
            for p in matrix.policies()]


def has_answer(question, case):
    """Not what is changed while guests run, how late a WFI is that the guest
    doesn't leave, what several harts get done together, which in QEMU take
    turns, and where a policy that doesn't level CPUs has put the last of several
    vCPUs, which is a matter of who was first."""
    load = case.get("load", "")
    return "freed" not in load and case.get("wfi") != "native" and \
        (question != "scaling" or case["harts"] == 1) and \
        (load != "four vcpus on two harts" or "weight" in case["policy"].knobs)


def cases(full):
    """[(question, case)], of one seed each."""
    b = Simulated(None, policies())
    found = [(q, c) for q in QUESTIONS for c in bench.question(q).cases(b)
             if c["seed"] == 1 and has_answer(q, c)]
    if full:
        return found
    chosen = {}
    for group, wanted in enumerate(QUICK):
        for want in wanted:
            for q, c in found:
                if want.items() <= {"question": q, **c}.items():
                    chosen.setdefault((group, c["policy"].name), (q, c))
    return list(chosen.values())


def near_share(x, y, usual=USUAL):
    """Are two shares of a CPU the same?"""
    return abs(x - y) <= max(LEAST, min(usual, PART * max(abs(x), abs(y))))


def near_time(us, other_us, slice_us=SLICE_US):
    least = min(TIME_US, slice_us / 20)
    return abs(us - other_us) <= max(least, TIME_PART * max(us, other_us))


def near(question, case, column, x, y, usual):
    """Are the two answers the same? None if nobody can tell."""
    unit, name = column["unit"], column["name"]
    if column.get("role") != "value" or name in LEFT_OUT or \
            unit not in ("%", "points", "us", "ms"):
        return None
    if x is None or y is None:
        return x == y
    if LAG.match(name):
        return abs(x - y) <= SLICE_US / 1000
    if unit in ("us", "ms"):
        scale = 1000 if unit == "ms" else 1
        return near_time(x * scale, y * scale, case.get("slice", SLICE_US))
    restless = any(word in case.get("thief", "") for word in RESTLESS)
    rough = RESTLESS_POINTS if restless else ROUGH.get(question)
    # Points are what is left of shares that are greater.
    if rough or unit == "points":
        return abs(x - y) <= (rough or usual)
    return near_share(x, y, usual)


def asked(t):
    module, case = bench.question(t.args["question"]), t.args["case"]
    answers = []
    for b in (bench.Bench(t.args["quick"], logs=t.folder),
              Simulated(t.folder, policies(), t.args["quick"])):
        b.begin(t.args["question"])
        got = module.measure(b, **case)
        answers.append(got[0] if isinstance(got, tuple) else got)
    real, simulated = answers
    t.equal(len(simulated), len(real), "rows")
    both = "\n".join(f"{c['name']}: {x} and {y}, simulated"
                     for a, b in zip(real, simulated)
                     for c, x, y in zip(module.COLUMNS, a, b))
    (t.folder / "both.txt").write_text(both + "\n")
    judged = 0
    for a, b in zip(real, simulated):
        for column, x, y in zip(module.COLUMNS, a, b):
            same = near(t.args["question"], case, column, x, y,
                        USUAL_QUICK if t.args["quick"] else USUAL)
            judged += same is not None and x is not None
            t.check(same is not False, f"{column['name']} of {a[:6]}:\n{both}")
    t.check(judged, "nothing to compare")


# --- guests of other kinds --------------------------------------------------


def nodes(guests, more=""):
    return [guest(n, "shares", vcpus=v, **knobs, bootargs=WORK[w] + more)
            for n, (w, v, knobs) in guests.items()]


def in_qemu(t, guests, smp):
    """{guest: (share, mean wait in us)}: how much of a CPU it had, and how
    late those who sleep were woken, as they say themselves."""
    window = (f" warmup_ms={WARMUP_S * 1000} ms={WINDOW_S * 1000}"
              " cooldown_ms=2000")
    m = t.boot(lab=lab(*nodes(guests, window), scheduler=t.args["policy"],
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
    policy = next(p for p in policies() if p.name == t.args["policy"])
    seen = Simulated(t.folder, policies()).measure(
        nodes(guests), policy, smp, WINDOW_S, WARMUP_S, shift=SHIFT)
    return {n: (row["share"], row["wait_mean"])
            for n, row in seen.rows.items()}


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
        rough = RESTLESS_POINTS if t.args["lab"] in SLEEPERS else \
            HARTS_POINTS if smp > 1 else None
        (share, late), (other, other_late) = real[n], simulated[n]
        t.check(abs(share - other) <= rough if rough else
                near_share(share, other), f"{n}'s share:\n{both}")
        t.check(near_time(late, other_late), f"{n}'s waits:\n{both}")


# --- what another policy would have done ------------------------------------

RECORDED = {"nap": ("nap", {"priority": 200}), "brief": ("brief",
                                                         {"priority": 150}),
            "hog": ("hog", {}), "hog2": ("hog", {})}


def simulate(t, text, policy):
    scenario, result = t.folder / "lab.sim", t.folder / "result.json"
    scenario.write_text(text)
    subprocess.run([SIM, "--policy", policy, "--quiet", "--set",
                    f"ns_per_instruction={2 ** SHIFT}", "--json", result,
                    scenario], cwd=TOP, check=True, timeout=60)
    return {g["guest"]: (g["share"], g["wait_mean"])
            for g in results.as_dicts(results.read(result))}


def recorded(t, policy):
    """A run in QEMU: {guest: (share, mean wait in us)} by its trace, and the
    trace in a file."""
    guests = [guest(n, "shares", autostart=False, **knobs,
                    bootargs=WORK[w] + " ms=100000000")
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
    if t.args["other"] in matrix.looking_at("priority"):
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


def name_of(question, case):
    words = [f"{v}" if isinstance(v, str) else f"{k}_{v}"
             for k, v in case.items() if k not in ("policy", "seed")]
    return (",".join([question, *words]).replace(" ", "_")
            + f"_is_as_simulated,{case['policy']}")


def tests(full):
    # Of those of several vCPUs, where a policy that doesn't level CPUs puts the
    # last is a matter of who was first.
    rows = [(name, 1) for name in LABS] + [("weights", 2), ("caps", 2)]
    first, *others = matrix.sharing()
    return [Case(f"a_recorded_run_tells_what_would_have_been,{first},{other}",
                 replayed, policy=first, other=other, shift=SHIFT, timeout=400)
            for other in others if full or other == others[0]] + \
           [Case(name_of(q, c), asked, question=q, case=c, quick=not full,
                 timeout=900) for q, c in cases(full)] + \
           [Case(f"{name}_on_{smp}_harts_are_as_simulated,{p}", agree, lab=name,
                 smp=smp, policy=p, timeout=400)
            for p in matrix.policies() for name, smp in rows
            if full and fitting(LABS[name], matrix.rooms(p, smp))]
