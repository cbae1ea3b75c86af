"""No hart is away from what there is to do for long: what comes by mail, timers
and exits is bounded as steps of tasks are (steps.py), with very many vCPUs.

Counted are instructions from one look to the next (bench/meter/stays.c), so
what is found does not depend on the build host.
"""

import re
import sys

import matrix
from harness import BUILD, TOP, Case
from labs import guest, lab
from steps import INSTRUCTIONS

sys.path.insert(0, str(TOP / "bench"))
from meter.images import elf_texts  # noqa: E402
from meter.machine import FIRMWARE  # noqa: E402

# Where a hart looks: a round's top, the way into a guest, the way to sleep.
LOOKS = ("look_round", "guest_enter", "trap_entry", "arch_wait")
BIG = 512
CPUS = 32
# Rings of 32 CPUs, or as many vCPUs as are told at once.
TRACED = 60_000
# Not bounded but by the mail there is, of 256 IPIs a call: 574 instructions each
# (docs/security.md). On another CPU that of all of them may come at once.
CALLED = 160_000
DRIVEN = 400_000


COUNTED = ("-icount", "shift=0,sleep=off")
# Several harts run at once, since QEMU takes no plugin where it counts the
# instructions of several: so they don't ring by the firmware's call, in which
# they may wait for its lock.
AT_ONCE = "virt,aclint=on"


class Stays:
    """How long the stays of a machine's harts were, once it has ended.

    longest   {function: instructions of the longest stay that it was in}
    most      [(hart, instructions, {function: its part})], the longest first
    """

    def __init__(self, t):
        self.map, self.out = t.folder / "stays.map", t.folder / "stays"
        symbols, end = elf_texts(BUILD / "rouse.elf")
        self.names = {FIRMWARE[0]: "firmware", **dict(symbols)}
        edges = sorted(dict(symbols)) + [end]
        lines = [f"function {FIRMWARE[0]:x} {FIRMWARE[1]:x}"]
        lines += [f"function {first:x} {until:x}"
                  for first, until in zip(edges, edges[1:])]
        at = {name: first for first, name in symbols}
        lines += [f"look {at[name]:x}" for name in LOOKS]
        self.map.write_text("\n".join(lines) + "\n")
        self.options = ["-plugin",
                        f"{BUILD / 'stays.so'},map={self.map},out={self.out}"]

    def read(self):
        self.longest, self.most = {}, []
        into = self.longest
        for line in self.out.read_text().splitlines():
            words = line.split()
            if words[0] == "stay":
                into = {}
                self.most.append((int(words[1]), int(words[2]), into))
            else:
                into[self.names[int(words[0], 16)]] = int(words[1])
        self.most.sort(key=lambda stay: -stay[1])
        return self

    def told(self):
        """The longest ones, for people."""
        return "\n".join(
            f"CPU {hart}: {length}: " + ", ".join(
                f"{name} {n}" for name, n in
                sorted(parts.items(), key=lambda p: -p[1])[:8])
            for hart, length, parts in self.most)


def ran(t, guests, steps, mem="1G", options=COUNTED, smp=1, machine="virt",
        **lab_options):
    stays = Stays(t)
    m = t.boot(lab=lab(*guests, boot=["watch off", *steps, "poweroff"],
                       **lab_options), smp=smp, mem=mem, machine=machine,
               options=[*stays.options, *options])
    t.equal(m.wait(), 0, "QEMU's status")
    stays.read()
    (t.folder / "stays.txt").write_text(stays.told() + "\n")
    return m, stays


def crowd(image, attack=None, **knobs):
    """BIG vCPUs on CPU 0."""
    return guest("big", image, autostart=False, vcpus=BIG,
                 bootargs=f"attack={attack}" if attack else None,
                 **{"memory": "8M", "pin": [0] * BIG, **knobs})


def short(t):
    m, stays = ran(t, t.args["guests"], t.args["steps"],
                   **t.args.get("how", {}))
    for text in t.args.get("shows", ()):
        t.check(re.search(text, m.text, re.M), f"no {text!r}")
    t.check(stays.most[0][1] <= t.args.get("most", INSTRUCTIONS),
            "a stay is too long:\n" + stays.told())
    for name in t.args["by"]:
        t.check(name in stays.longest, f"{name} has not run")


def largest(t):
    """As much RAM as no build host has: the file that it is in has holes."""
    ram = t.folder / "ram"
    t.args["how"] = {"mem": "66G", "options": [
        *COUNTED, "-object", f"memory-backend-file,id=ram,size=66G,mem-path={ram},"
        "share=on", "-machine", "memory-backend=ram"]}
    try:
        short(t)
    finally:
        ram.unlink(missing_ok=True)


def traces(t):
    m, stays = ran(t, [crowd("crowd")],
                   ["guest start big", "sleep 2", "trace on size=16",
                    "trace mask sched", "trace on size=32", "trace off",
                    "stats on", "stats off"], smp=CPUS, options=(),
                   machine=AT_ONCE)
    for name in ("tracer_start", "tracer_changing", "tracer_mask",
                 "tracer_stats", "arch_vcpu_trace"):
        t.check(stays.longest[name] <= TRACED,
                f"{name} was in a stay of {stays.longest[name]}:\n"
                + stays.told())


def tests(full):
    policies = [step for policy in [*matrix.sharing(), matrix.default()]
                for step in (f"sched set {policy}", "sleep 0.01")]
    start = ["guest start big", "sleep 0.2"]
    all_of_it = {"guests": [guest("big", "hostile", autostart=False,
                                  memory="10236K",
                                  bootargs="attack=touch-and-reboot",
                                  populate="eager")],
                 "steps": ["guest start big", "sleep 0.02", "guest stop big",
                           "set big populate=lazy", "guest start big",
                           "sleep 0.1"]}
    return [
        Case(f"no_stay_is_long_while_{BIG}_vcpus_change_policies", short,
             guests=[crowd("hostile", "fence-crowd")],
             steps=[*start, *policies], by=["enter_some", "vfence_request"]),
        Case(f"no_stay_is_long_while_{BIG}_that_sleep_change_policies", short,
             guests=[crowd("crowd")],
             steps=["guest start big", "sleep 2", *policies],
             by=["enter_some"]),
        *[Case(f"no_stay_is_long_where_{BIG}_timers_are_due_at_once_under_{policy}",
               short, guests=[crowd("hostile", "wake-at-once")], steps=start,
               how={"scheduler": policy}, by=["more_due"])
          for policy in (matrix.sharing() if full else [matrix.default()])],
        *[Case(f"a_stay_is_as_long_as_is_said_where_{BIG}_are_called_under_{policy}",
               short, guests=[crowd("hostile", "wake-by-ipi")], steps=start,
               how={"scheduler": policy}, by=["mail_look"], most=CALLED)
          for policy in (matrix.sharing() if full else [matrix.default()])],
        # Each of them compared with all that are there took 800,000.
        Case(f"a_stay_is_as_long_as_is_said_where_{BIG}_are_driven_to_a_cpu", short,
             guests=[crowd("hostile", "wake-by-ipi", pin=None, affinity="0")],
             steps=[*start, *[f"vcpu pin big:{i} 1" for i in range(1, BIG)],
                    "sleep 0.5"],
             how={"scheduler": matrix.default(), "smp": 2, "options": (),
                  "machine": AT_ONCE}, by=["unit_arrive"], most=DRIVEN),
        Case("no_stay_is_long_for_single_frames", short, **all_of_it,
             by=["gmem_populate_step", "gmem_fault"]),
        Case("no_stay_is_long_for_a_guest_of_64_GiB", largest,
             guests=[guest("small", "hello", autostart=False)],
             steps=["guest create big memory=64G kernel=baremetal/hello.elf",
                    "guest start big", "sleep 0.1", "guest destroy big",
                    "sleep 0.2"],
             shows=["^.*big: starts at .* 65536 MiB", "^.*big: destroyed"],
             by=["gmem_destroy_step"]),
        Case(f"no_step_about_traces_is_long_on_{CPUS}_cpus", traces)]
