"""What guests are told of the time that others took (SBI STA).

Guests read it from their pages and print it; Rouse's own figure is the time in
the runstate "runnable", which the console lists. Nothing depends on how fast the
machine is: each page is held against that list and against the guest's clock.
"""

import json
import re

import matrix
from fairness import SHIFT, counted
from harness import Case
from labs import guest, heard, lab

LINE = (r"steal: hart (\d+): (\d+) of (\d+) us stolen, (\d+) looks, "
        r"(\d+) wrong")


def steal(name, ms=2000, more="", **knobs):
    return guest(name, "steal", bootargs=f"ms={ms} {more}".strip(), **knobs)


def run(t, *guests, smp=1):
    """{(guest, hart): (stolen us, of us, looks, wrong)} and, the same by
    Rouse, {(guest, hart): waited us}."""
    names = re.findall(r"^\t\t(\w+) {", "".join(guests), re.M)
    script = [f"guest wait {name}" for name in names if "hog" not in name]
    m = t.boot(lab=lab(*guests, boot=script + ["vcpu list -j", "poweroff"],
                       scheduler=t.args["policy"]), smp=smp,
               options=counted(SHIFT))
    t.equal(m.wait(t.args.get("limit", 200)), 0, "QEMU's status")
    told = {(name, int(hart)): tuple(map(int, rest))
            for name in names
            for hart, *rest in re.findall(LINE, heard(name, m.text))}
    waited = {}
    for line in re.findall(r'^\{"type":"vcpu".*\}$', m.text, re.M):
        v = json.loads(line)
        waited[v["guest"], v["vcpu"]] = v["runnable_ns"] / 1000
    return told, waited


def judge(t, told, waited, wanted, smp=1):
    """Pages say what Rouse's list does but for what came before them: at most
    some slices of the others', while the guest came up."""
    t.equal(sorted(told), sorted(wanted), "harts that reported")
    for key, (stolen, of, looks, wrong) in told.items():
        t.check(looks > 0 and not wrong, f"{key}: {wrong} of {looks} looks at "
                "`preempted` found it wrong")
        t.check(abs(waited[key] - stolen) < 0.05 * of, f"{key}: {stolen} us "
                f"stolen by its page, {waited[key]:.0f} by the list")
        low, high = wanted[key]
        t.check(low <= stolen / of <= high,
                f"{key}: {stolen} of {of} us stolen, {low} to {high} expected")


def two_guests(t):
    told, waited = run(t, steal("a"), steal("b"))
    judge(t, told, waited, {("a", 0): (.45, .55), ("b", 0): (.45, .55)})


def two_harts(t):
    """Two vCPUs of a guest take the one CPU from each other."""
    told, waited = run(t, steal("a", more="cpus=1", vcpus=2))
    judge(t, told, waited, {("a", 0): (.45, .55), ("a", 1): (.45, .55)})


def alone(t):
    told, waited = run(t, steal("a"))
    judge(t, told, waited, {("a", 0): (0, .02)})


def not_asked(t):
    """Who registers no page finds none written."""
    told, _ = run(t, steal("a", more="pages=off"), steal("b", ms=3000))
    t.equal(told["a", 0][0], 0, "us stolen in memory that is no page")


def tests(full):
    cases = []
    for p in matrix.sharing_or_default(full):
        cases += [Case(f"{what},{p}", fn, timeout=240, policy=p)
                  for what, fn in (
                      ("two_hogs_are_told_of_each_others_half", two_guests),
                      ("two_vcpus_know_that_the_other_is_preempted",
                       two_harts),
                      ("a_guest_that_is_alone_loses_nothing", alone),
                      ("no_page_no_report", not_asked))]
    return cases
