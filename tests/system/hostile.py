"""Hostile guests: whatever one does, its neighbours get what is due to them, at
once, and the console answers.

Beside an attacker (guests/baremetal/hostile, one attack after the other) run
two honest guests that say all the time how they fare: one works, one sleeps and
wakes (guests/baremetal/neighbour). What they have beside a guest that only
works, `calm`, is what they must have beside each attack: work by their own
count, and no later wake-ups than the policy's knobs explain. Time is counted
instructions (-icount), so a run depends on nothing but code.

Which promise is asked depends on what the policy says that it looks at: with
`weight` it promises a share, with `priority` that a higher one doesn't wait,
and with neither turns, for everybody. Those of `rr` depend on nothing that went
before, so it is held to more than that. Where there is room for few, whoever
has it has it for himself.

On several harts there is a guest bound to each that works. Time is counted there
as well, see side_by_side().
"""

import json
import re
import struct

import matrix
from fairness import LISTS, SHIFT, Between, counted, readings
from harness import BUILD, CPU, Case
from labs import Shell, guest, heard, lab, said
from stays import CALLED
from steps import INSTRUCTIONS as STEP_INSTRUCTIONS

RAM, IMAGE = 0x80000000, 0x80200000 # of QEMU's virt

SLICE_US = 1000
SECONDS = 0.5
# Where turns are promised a neighbour has some eighty in half a second, and one
# more or less before and after is by chance: within 0.979 to 1.004 of its work
# beside `dbtr-naps` in eight runs that began at different moments, and once 0.963.
# In a second: 0.990 to 1.009.
TURNS_SECONDS = 1

# Attack: how much less work than beside `calm` is no fault of the attack.
# Slices are not whole in half a second, hence the most of NEAR.
NEAR = 0.03
ATTACKS = {
    "plic-line": NEAR, "plic-unclaimed": NEAR, "plic-toggle": NEAR,
    "timer-past": NEAR, "timer-sbi": NEAR, "timer-short": NEAR,
    "ipi-all": NEAR,
    # At 32 ns an instruction a switch takes 50 us, and there are thousands.
    "ipi-wake": 0.08,
    "uart-flood": NEAR, "uart-lines": NEAR, "dbcn-flood": NEAR,
    "dbcn-huge": NEAR, "putchar-flood": NEAR, "rfence": NEAR,
    "fence-crowd": NEAR,
    "calls-wild": NEAR, "calls-unknown": NEAR, "pmu-info": NEAR,
    "hart-masks": NEAR, "devices": NEAR,
    "touch-and-reboot": NEAR, "reboot": NEAR, "reboot-all": NEAR,
    "faults": NEAR, "satp": NEAR, "tables": NEAR, "self-modifying": NEAR,
    "nested-traps": NEAR, "illegal": NEAR, "firmware-lines": NEAR,
    "wait-for-nothing": NEAR,
    "naps": NEAR, "plant": NEAR, "hart-storm": NEAR, "suspend-storm": NEAR,
    "start-in-a-row": NEAR,
    "all-off": NEAR,
    "rtc-alarms": NEAR, "rtc-sooner": NEAR,
    "rtc-soon": NEAR, "rtc-asleep": NEAR,
    "plic-wide": NEAR, "plic-crowd": NEAR, "sse-storm": NEAR,
    "dbtr-yield": NEAR, "dbtr-naps": NEAR, "fwft-flips": NEAR,
    "wake-at-once": NEAR, "wake-in-a-row": NEAR, "wake-by-ipi": NEAR,
}
# As many vCPUs as a PLIC serves.
CROWD = 512
CROWD_START_S = 8 # where nobody else works
# So that all sleep again by then, in a third of a CPU.
CROWD_ARGS = dict.fromkeys(("wake-at-once", "wake-in-a-row"),
                           " period_us=256000")
# Not with counted instructions: its faults are none, so no time would pass.
ENDLESS = "satp-circle"
LOOKS = 20

# On several harts the firmware's lines are in the midst of Rouse's. For a line
# the hart is the firmware's, some 150 us at this speed: for shares it is charged,
# but a turn may be so much longer, and there are four between two of another's.
GARBLES = "firmware-lines"
LINE_US = 200
# Nor is what the firmware has to take out of the hart as a turn ends: two calls.
UNLOADS = ("dbtr-naps", "dbtr-yield")
UNLOAD_US = 60

# What is another thing for a guest whose hart masks have several words, the
# last of them not full.
MANY_VCPUS = 65
MANY = ("hart-masks", "pmu-info", "ipi-all")
MANY_START_S = 1.5  # to read a tree of so many at this speed

# Of an attacker whose sleepers are woken in a neighbour's turns: so many that
# there is always one, and little weight, so that it can use up all that is due
# to it by short naps. And how much more of the CPU may be nobody's time then.
WAKES = ("wake-at-once", "wake-in-a-row", "wake-by-ipi")
SLEEPERS = {"vcpus": 32, "weight": 128}
NOBODYS = 0.01
# Instructions for the wake-ups of all of a crowd at once: of what comes by mail
# stays.py sees to it, a timer's takes as many as that at most (docs/security.md).
WAKE_UP = 840
MANY_WAKES = {"wake-by-ipi": CALLED, "wake-at-once": CROWD * WAKE_UP,
              "wake-in-a-row": CROWD * WAKE_UP}

# What has most to do with other harts.
OF_SEVERAL = ("ipi-all", "hart-storm", "reboot-all", "naps", "rfence",
              "plic-wide", "ipi-wake", "timer-past", "fence-crowd")

FLOODS = ("uart-flood", "uart-lines", "dbcn-flood", "putchar-flood")

# What a guest looks like that can't go on but holds on to its memory, and one
# that has let go of its last hart.
STATES = {"wait-for-nothing": ("running", 0), "all-off": ("stopped", 0)}

# A wake-up waits for a turn that has just begun, a step of a task, and what the
# hypervisor does meanwhile; or for everybody's turn, so many times: the
# attacker has VCPUS, and there are two neighbours.
VCPUS = 4
ROUNDS = {"rr": 2, "turns": 4}
LATE_US = {"weight": 3 * SLICE_US, "priority": 2 * SLICE_US,
           "room": 2 * SLICE_US,
           **{p: n * (VCPUS + 2) * SLICE_US for p, n in ROUNDS.items()}}
# On several harts it may be handed over while it waits, and there one turn more
# may have just begun. Where turns are all that is promised that hart may have
# two vCPUs more than another.
ELSEWHERE_US = SLICE_US
UNEVEN_US = 2 * SLICE_US
PACE_US = 100

# Where nothing but turns is promised, one may be longer than its slice by what is
# left of an exit, and of the firmware's lines. So much less of the work is no
# fault of the attack's then. rr takes that from the next one.
LESS = {"weight": 0, "priority": 0, "rr": 0, "turns": 0.2, "room": 0}


def promised(policy):
    """What a policy promises: the key of LATE_US and of LESS."""
    if policy == "rr":
        return policy
    if matrix.rooms(policy, 1):
        return "room"
    for knob in ("weight", "priority"):
        if policy in matrix.looking_at(knob):
            return knob
    return "turns"


# So many lives are told of at once, and then one a second (kernel/log.h).
LOG_BURST = 8


def neighbour(name, mode, **knobs):
    return guest(name, "neighbour", bootargs=f"mode={mode}", memory="4M",
                 slice_us=SLICE_US, **knobs)


def attacker(**knobs):
    return guest("bad", "hostile", autostart=False, slice_us=SLICE_US,
                 **{"vcpus": VCPUS, "priority": 60, **knobs})


def phase(attack, seconds, quiet=False, start=0.3, args=""):
    """Commands that run one attack for so long, between two readings, once it
    has had time to start; `quiet`: not while these are written, which goes on
    behind the command."""
    look = (["guest pause bad", "sleep 0.05", LISTS, "sleep 0.3",
             "guest resume bad"] if quiet else [LISTS])
    return [f"help phase-{attack}", f'set bad "bootargs=attack={attack}{args}"',
            "guest start bad", f"sleep {start}", *look, f"sleep {seconds}",
            *look, "guest stop bad"]


def phases_beside(attacks, seconds, **how):
    """The same for `calm` and then each of them."""
    return [step for attack in ("calm", *attacks)
            for step in phase(attack, seconds, **how)]


def phases(text):
    """{attack: what the console showed meanwhile}"""
    parts = re.split(r"^help: no command 'phase-([\w-]+)'.*\n", text,
                     flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


# What the sleeper says: how late it woke, in the mean and at most.
WAKES_LATE = r"t \d+ wakes \d+ late_us (\d+) most_us (\d+)"


class Accounts:
    """How all fared between two readings, by the hypervisor's accounts."""

    def __init__(self, before, after):
        self.between = Between(before, after)

    def cpu(self, what):
        """How much of a CPU that was, of a count of the CPUs' ns."""
        return sum(self.between.cpus(what)) / self.between.elapsed()


class Fared(Accounts):
    """How the neighbours fared between the two readings of a phase."""

    def __init__(self, t, attack, text, smp, sleeps=True):
        both = readings(text)
        t.equal(len(both), 2, f"{attack}: readings")
        super().__init__(*both)
        last = [m.end() for m in re.finditer(
            rf'^\{{"type":"cpu","cpu":{smp - 1},.*\n', text, re.M)]
        lines = text[last[0]:last[1]]
        work = self.numbers(lines, "hog", r"t (\d+) loops (\d+)")
        wakes = self.numbers(lines, "waker", WAKES_LATE)
        self.rate = ((work[-1][1] - work[0][1]) / (work[-1][0] - work[0][0])
                     if len(work) > 1 else 0)
        t.check(len(wakes) > 1 or not sleeps,
                f"{attack}: the sleeper is not heard of")
        self.late = sum(mean for mean, _ in wakes) / max(1, len(wakes))
        self.most = max((most for _, most in wakes), default=0)

    @staticmethod
    def numbers(text, name, pattern):
        return [tuple(map(int, found)) for found in
                re.findall(said(name, "neighbour: " + pattern), text, re.M)]


def longer_us(t, attack):
    """How much longer than its slice a turn may be, where turns matter: by a
    line of the firmware's, and by what it has to take out of the hart."""
    if promised(t.args["policy"]) not in ROUNDS:
        return 0, 0
    return (LINE_US if attack == GARBLES else 0,
            UNLOAD_US if attack in UNLOADS else 0)


def judge_late(t, attack, fared, calm):
    """A case's `vcpus`: so many of the attacker's want the CPU at once."""
    promise, several = promised(t.args["policy"]), t.args.get("smp", 1) > 1
    more_vcpus = t.args.get("vcpus", VCPUS) - VCPUS
    line_us, unload_us = longer_us(t, attack)
    # Two rounds of four such turns.
    most = LATE_US[promise] + 8 * (line_us + unload_us)
    mean = calm.late + SLICE_US / 2 + 4 * line_us
    if promise in ROUNDS:
        most += ROUNDS[promise] * more_vcpus * SLICE_US
        mean += SLICE_US / 2 * more_vcpus / (VCPUS + 2)
    if several:
        most += ELSEWHERE_US
        mean += UNEVEN_US if promise in ROUNDS else 0
    t.check(fared.most <= most, f"{attack}: the sleeper woke "
            f"{fared.most} us late (beside calm {calm.most})")
    t.check(fared.late <= mean, f"{attack}: the sleeper woke {fared.late:.0f} "
            f"us late in the mean, beside calm {calm.late:.0f}")


def judge(t, attack, fared, calm, seconds, more=0):
    promise = promised(t.args["policy"])
    elapsed = fared.between.elapsed() / 1e9
    # To list very many vCPUs takes a while, whatever they do.
    expected = max(seconds, calm.between.elapsed() / 1e9)
    t.check(seconds <= elapsed < expected * 1.15, f"{attack}: the console took "
            f"{elapsed:.3f} s for a sleep of {seconds}, beside calm "
            f"{expected:.3f}")
    judge_late(t, attack, fared, calm)
    if promise == "priority":
        return      # the lower one is promised nothing
    near = max(ATTACKS[attack], more) + LESS[promise]
    if promise == "turns":
        near += longer_us(t, attack)[0] / SLICE_US
    t.check(fared.rate >= calm.rate * (1 - near),
            f"{attack}: the neighbour does {100 * fared.rate / calm.rate:.1f} "
            "% of what it does beside calm")


def say(t, name, fared, calm):
    with open(t.folder / "fared.tsv", "a") as out:
        parts = "\t".join(f"{k} {v:.4f}" for k, v in
                          fared.between.parts().items())
        rate = fared.rate / calm.rate if calm.rate else 0
        out.write(f"{name}\t{rate:.3f}\t{fared.late:.0f}\t{fared.most}\t"
                  f"{parts}\thost {fared.cpu('host_ns'):.4f}\t"
                  f"task {fared.cpu('task_ns'):.4f}\n")


def all_fared(t, attacks, text, smp=1, sleeps=True):
    """Of each attack, and written down: (attack, how neighbours fared, how
    beside calm). text: of phases()."""
    calm = Fared(t, "calm", text["calm"], smp, sleeps)
    for attack in attacks:
        fared = Fared(t, attack, text[attack], smp, sleeps)
        say(t, attack, fared, calm)
        yield attack, fared, calm


def run(t, steps, smp=1, **knobs):
    policy = t.args["policy"]
    m = t.boot(lab=lab(attacker(**knobs), neighbour("hog", "work", priority=50),
                       neighbour("waker", "wake", priority=70),
                       scheduler=policy,
                       boot=["watch off", "watch hog waker", "sleep 0.5",
                             *steps, "help phase-end", "poweroff"]),
               smp=smp, mem="256M", options=counted(SHIFT))
    t.equal(m.wait(t.args.get("limit", 300)), 0, "QEMU's status")
    return m


def which(policy, full):
    """The attacks that are tried under a policy: all of them where a share is
    promised; in a quick run the others have some of them each."""
    names = list(ATTACKS)
    others = [p for p in matrix.sharing() if promised(p) != "weight"]
    if full or policy not in others:
        return names
    return names[others.index(policy)::len(others)]


def which_on(smp, policy, full):
    """The same on several harts: in a quick run some of those that need
    them, on four only by the policy that is usual."""
    everyone = matrix.policies()
    if full:
        return list(ATTACKS)
    if smp == 4:
        return OF_SEVERAL[:4] if policy == matrix.default() else []
    return OF_SEVERAL[everyone.index(policy)::len(everyone)]


def crowd_of(policy, full):
    """What a crowd tries where more than turns is promised; in a quick run what
    makes one wait the longest where that is bounded."""
    if promised(policy) in ROUNDS:
        return []
    if full:
        return ["plic-crowd", *WAKES]
    return {"priority": ["plic-crowd", "wake-at-once"]}.get(promised(policy), [])


def seconds_of(policy):
    """How long a quick run looks at each attack."""
    return TURNS_SECONDS if promised(policy) in ROUNDS else SECONDS


def attacks(t):
    seconds = t.args["seconds"]
    text = phases(run(t, phases_beside(t.args["which"], seconds)).text)
    t.check(not re.search(r"^guest stop: bad is (?!stopped)", "".join(
        text.values()), re.M), "it was not to be stopped")
    for attack, fared, calm in all_fared(t, t.args["which"], text):
        judge(t, attack, fared, calm, seconds)
        bad = fared.between.after["guest", "bad"]
        t.check(attack in STATES or bad["state"] in ("running", "starting",
                                                     "stopping"),
                f"{attack}: it has come to an end")
        if attack in STATES:
            t.equal((bad["state"], bad["vcpus_runnable"]), STATES[attack],
                    f"{attack}: what it looks like")
        if attack == "all-off":
            t.equal((bad["last_event"], bad["last_code"]), ("poweroff", 1),
                    "how a guest without harts ended")


def floods(t):
    """The same while all that is written is shown, once the burst is over."""
    seconds = t.args["seconds"]
    steps = phase("calm", seconds) + ["watch all"] + phase("uart-flood", 0)[:3]
    steps += ["sleep 7", "guest stop bad"]
    for attack in FLOODS:
        steps += phase(attack, seconds)
    m = run(t, steps)
    # The flood that uses up the burst is the first of that name.
    for attack, fared, calm in all_fared(t, FLOODS, phases(m.text)):
        # Half a per cent of the CPU is for what is shown.
        judge(t, attack, fared, calm, seconds, more=0.05)
    t.check(re.search(r"^\[bad\] \.\.\. \d+ bytes lost", m.text, re.M),
            "no byte of a flood was lost")


def late_beside(t, vcpus):
    """How late, in us, the sleeper wakes at most beside a guest with so many
    vCPUs that has no instruction but the call for a reboot; its own line."""
    m = t.boot(lab=lab(guest("bad", "rebooter", vcpus=vcpus, memory="8M",
                             priority=60, autostart=False),
                       neighbour("waker", "wake", priority=70),
                       scheduler=t.args["policy"],
                       boot=["watch off", "sleep 0.2", "guest start bad",
                             "sleep 0.2", "watch waker",
                             f"sleep {t.args['seconds']}", "guest stop bad",
                             "guest list -j", "poweroff"]),
               smp=1, mem="256M", options=counted(SHIFT))
    t.equal(m.wait(t.args.get("limit", 200)), 0, "QEMU's status")
    most = [n for _, n in Fared.numbers(m.text, "waker", WAKES_LATE)]
    t.check(most, f"{vcpus} vCPUs: the sleeper is not heard of")
    return max(most), m


def reboots(t):
    """What a reboot takes grows with the vCPUs, and a higher priority waits for
    a step of it, not for all: beside 64 as long as beside any attack, beside as
    many as there may be by one longest step more."""
    one, _ = late_beside(t, 1)
    step_us = (STEP_INSTRUCTIONS << SHIFT) / 1000
    for vcpus, most in ((64, LATE_US["priority"]),
                         (512, LATE_US["priority"] + step_us)):
        late, m = late_beside(t, vcpus)
        t.check(late <= most, f"beside reboots of {vcpus} vCPUs the sleeper "
                f"woke {late} us late, of one vCPU {one}")
        t.check("goes on by itself" not in m.text, "it never started")
        told = len(re.findall(r"bad: starts at ", m.text))
        untold = sum(map(int, re.findall(r"bad: started (\d+) more", m.text)))
        boots = int(re.search(r'"name":"bad".*"boots":(\d+)', m.text)[1])
        t.equal(told + untold, boots, "lives that were told of or counted")
        t.check(told <= LOG_BURST + t.args["seconds"] + 2,
                f"{told} of {boots} lives were told of")


def listed(t):
    """Each attack that the guest has is looked at here."""
    m = t.boot(lab=lab(guest("bad", "hostile", bootargs="attack=list"),
                       poweroff=True), mem="256M", smp=1)
    t.equal(m.wait(), 0, "QEMU's status")
    has = set(re.findall(said("bad", r"hostile: attack (\S+)"), m.text, re.M))
    t.equal(has, {*ATTACKS, ENDLESS}, "the attacks there are")


def waited(before, after):
    """How much of its time a vCPU waited for the CPU, by the hypervisor's
    accounts."""
    spent = {state: after[f"{state}_ns"] - before[f"{state}_ns"]
             for state in ("running", "runnable", "blocked")}
    return spent["runnable"] / sum(spent.values())


def judge_sleeper(t, policy, before, after):
    """It woke, and where that is promised it was hardly ever kept waiting. Where
    turns are, it waits for everybody's, half of the time and more; one of which
    nobody takes the CPU away leaves it next to no other."""
    most = 0.5 if promised(policy) == "weight" else 0.85
    part = waited(before, after)
    t.check(after["wakes"] > before["wakes"] and part < most,
            "the one that sleeps and wakes did so "
            f"{after['wakes'] - before['wakes']} times, and waited for "
            f"{100 * part:.0f} % of its time")


def endless(t):
    """Faults that never leave the guest and never end. Without -icount no
    clock can be trusted, so only the hypervisor's accounts are compared: half
    is due to a guest, or a third to a vCPU; and who sleeps and wakes is hardly
    ever kept waiting, where that is promised. When the build host is busy the
    machine stands still at times, which is the time of whoever runs then: it
    evens out, so it is looked at for longer where it hasn't yet, until it has
    in two looks in a row."""
    policy = t.args["policy"]
    m = t.boot(lab=lab(attacker(vcpus=2, priority=50,
                                bootargs=f"attack={ENDLESS}"),
                       neighbour("hog", "work", priority=50),
                       neighbour("waker", "wake", priority=50),
                       scheduler=policy), smp=1, mem="256M")
    m.expect("^rouse> ", 60)
    shell = Shell(m)
    shell.quiet()
    shell.run("guest start bad; sleep 1")
    before, waker = shell.running_ns(), shell.vcpus()["waker", 0]
    due = 1 / 2 if promised(policy) == "weight" else 1 / 3
    off = before_that = 1
    for _ in range(LOOKS):
        shell.run("sleep 2")
        after, awoken = shell.running_ns(), shell.vcpus()["waker", 0]
        got = {name: after[name] - before[name] for name in after}
        before_that = off
        off = abs(got["hog"] / (got["hog"] + got["bad"]) - due)
        if max(off, before_that) < 0.1:
            break
    t.check(max(off, before_that) < 0.1, f"they got {got}")
    judge_sleeper(t, policy, waker, awoken)
    t.equal(shell.run("guest stop bad"), [], "stopping it")
    t.equal(shell.guests()["bad"]["state"], "stopped", "its state")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def many_seconds(policy):
    """Turns are few beside so many: in all as many as beside VCPUS. Where shares
    are promised, what a neighbour does in half a second is by chance within 4 %
    of what it does beside calm, in a second within 1.2 (18 and 16 runs that began
    at different moments)."""
    if promised(policy) in ROUNDS:
        return seconds_of(policy) * (MANY_VCPUS // VCPUS)
    return 2 * seconds_of(policy)


def many(t):
    """The same by an attacker of more vCPUs than a word has bits."""
    seconds = t.args["seconds"]
    steps = phases_beside(MANY, seconds, start=MANY_START_S)
    text = phases(run(t, ["watch bad hog waker", *steps],
                      vcpus=t.args["vcpus"]).text)
    for attack, fared, calm in all_fared(t, MANY, text):
        begun = re.search(said("bad", f"hostile: {attack}, "), text[attack],
                          re.M)
        t.check(begun and begun.start() < text[attack].index('{"type"'),
                f"{attack}: it had not begun")
        judge(t, attack, fared, calm, seconds)


def wakes(t):
    """What it takes to wake a guest's vCPUs, or to serve its alarms while all
    sleep, is that guest's time, whoever's turn it is: so the neighbour has its
    share, and next to nothing is nobody's time."""
    seconds = t.args["seconds"]
    steps = phases_beside(t.args["which"], seconds, start=MANY_START_S)
    text = phases(run(t, steps, **SLEEPERS).text)
    for attack, fared, calm in all_fared(t, t.args["which"], text):
        woken = sum(n for (guest, _), n in fared.between.vcpus("wakes").items()
                    if guest == "bad")
        t.check(woken > SLEEPERS["vcpus"], f"{attack}: {woken} wake-ups")
        judge(t, attack, fared, calm, seconds)
        mine, usual = fared.cpu("host_ns"), calm.cpu("host_ns")
        t.check(mine <= usual + NOBODYS, f"{attack}: {100 * mine:.1f} % of the "
                f"CPU was nobody's, beside calm {100 * usual:.1f}")


def starts(t):
    """Harts that start in a neighbour's turn, and are sent to another CPU: that
    is their time on both, and next to nothing is nobody's."""
    policy, smp, attack = t.args["policy"], 2, "start-in-a-row"
    hogs = [neighbour(f"hog{i}", "work", pin=[i]) for i in range(smp)]
    m = t.boot(lab=lab(attacker(vcpus=SLEEPERS["vcpus"]), *hogs,
                       scheduler=policy,
                       boot=["watch off", "sleep 0.5",
                             *phases_beside([attack], t.args["seconds"],
                                            start=MANY_START_S),
                             "help phase-end", "poweroff"]),
               smp=smp, mem="256M", options=side_by_side(smp))
    t.equal(m.wait(280), 0, "QEMU's status")
    for _, fared, calm in all_fared(t, [attack], phases(m.text), smp, False):
        moved = sum(n for (guest, _), n in
                    fared.between.vcpus("migrations").items() if guest == "bad")
        t.check(moved > SLEEPERS["vcpus"],
                f"{moved} times one was sent elsewhere")
        mine, usual = fared.cpu("host_ns"), calm.cpu("host_ns")
        t.check(mine <= usual + smp * NOBODYS, f"{100 * mine:.1f} % of a CPU "
                f"were nobody's, beside calm {100 * usual:.1f}")


def race(t):
    """Hart masks change while the hypervisor reads them, on a hart that runs at
    the same time. Without -icount only its own accounts can be trusted."""
    smp, weight, policy = 2, 128, matrix.default()
    m = t.boot(lab=lab(attacker(vcpus=MANY_VCPUS, bootargs="attack=hart-masks",
                                weight=256),
                       neighbour("hog", "work", weight=weight),
                       neighbour("waker", "wake", weight=weight),
                       scheduler=policy, boot=["watch off", "watch bad"]),
               smp=smp, mem="256M")
    m.expect("^rouse> ", 60)
    shell = Shell(m)
    m.line("guest start bad")
    m.expect(said("bad", "hostile: hart-masks, "), 60)
    shell.quiet()
    waker = shell.vcpus()["waker", 0]
    before = readings("\n".join(shell.run(LISTS)))
    shell.run(f"sleep {t.args['seconds']}")
    after = readings("\n".join(shell.run(LISTS)))
    judge_sleeper(t, policy, waker, shell.vcpus()["waker", 0])
    got = Between(before[0], after[0]).parts()
    due = smp * (weight / (256 + weight) if promised(policy) == "weight"
                 else 1 / (1 + MANY_VCPUS)) - got["waker"]
    t.check(got["hog"] >= 0.8 * due,
            f"the neighbour had {got['hog']:.3f} of a hart, due are {due:.3f}")
    t.equal(shell.guests()["bad"]["state"], "running", "the attacker")
    t.equal(shell.run("guest stop bad"), [], "stopping it")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def host_ranges(mem_mib, guest_mib):
    """Boot arguments: which physical addresses are the host's alone, on a
    machine where all of a guest's are the first of the host's. It's the image,
    which lies in RAM that the guest's calls have nothing to do with, and what
    is behind the guest's."""
    image_bytes = struct.unpack_from(
        "<Q", (BUILD / "rouse.bin").read_bytes(), 16)[0]
    return (f"image={IMAGE:#x} image_end={IMAGE + image_bytes:#x} "
            f"ram={RAM + (guest_mib << 20):#x} "
            f"ram_end={RAM + (mem_mib << 20):#x}")


def answers(t):
    """No answer, in a register or in memory, is an address of the host's."""
    args = f"attack=calls-wild {host_ranges(256, 16)}"
    m = t.boot(lab=lab(attacker(bootargs=args), neighbour("hog", "work"),
                       boot=["watch bad", "guest start bad",
                             f"sleep {t.args['seconds']}", "guest list -j",
                             "poweroff"]),
               smp=2, mem="256M", options=counted(SHIFT))
    t.equal(m.wait(300), 0, "QEMU's status")
    t.equal(re.findall("FAIL.*", heard("bad", m.text)), [], "what was found")
    listed = json.loads(re.search(r'^\{.*"name":"bad".*$', m.text, re.M)[0])
    t.equal((listed["state"], listed["boots"]), ("running", 1),
            "the guest that looks")


def leaks(t):
    """One guest leaves its mark in all RAM, registers and CSRs that it has, is
    switched against, killed and freed; others look for it in theirs."""
    state = "only=state state_rounds=20"
    make = ("guest create {} memory={} vcpus=3 slice-us=1000 "
            'kernel=baremetal/{}.elf "bootargs={}"')
    rounds = ["guest start hunter; guest wait hunter",
              "guest stop bad; guest destroy bad",
              make.format("last", "16M", "archtest", state),
              "guest start last; guest wait last; guest destroy last",
              # Nearly all that the machine has, what was bad's included.
              make.format("taker", "98M", "toucher", ""),
              "guest start taker; guest wait taker; guest destroy taker",
              make.format("bad", "16M", "hostile", "attack=plant"),
              "guest start bad; sleep 0.5"]
    m = t.boot(lab=lab(guest("bad", "hostile", vcpus=3, slice_us=SLICE_US,
                             bootargs="attack=plant"),
                       guest("hunter", "archtest", autostart=False, vcpus=3,
                             slice_us=SLICE_US, bootargs=state),
                       guest("for-its-image", "toucher", memory="8M",
                             autostart=False),
                       boot=["sleep 0.5", *rounds * t.args["rounds"],
                             "guest stop bad", "mem -j",
                             "guest list -j; poweroff"]),
               smp=t.args["smp"], mem="128M", cpu=t.args["cpu"])
    t.equal(m.wait(250), 0, "QEMU's status")
    for name in ("hunter", "last"):
        t.equal(len(re.findall(said(name, r"[1-9]\d* passed, 0 failed"),
                               m.text, re.M)), t.args["rounds"],
                f"rounds in which {name} found nothing")
    t.equal(len(re.findall(said("taker", r"toucher: \d+ pages first touched in "
                                r"\d+ us, 0 were not zero"), m.text, re.M)),
            t.args["rounds"], "rounds in which all RAM was zero")
    t.equal(re.findall(said("(?:hunter|last|taker)", "(FAIL .*)"), m.text,
                       re.M), [], "what was found")


def ignored_input(t):
    """Who never reads is typed at: some is kept, the rest is refused, and the
    console has its Ctrl-] all the same."""
    m = t.boot(lab=lab(guest("bad", "hostile", bootargs="attack=calm",
                             vcpus=2),
                       neighbour("hog", "work"),
                       boot=["watch off"]), smp=1, mem="256M")
    m.expect("^rouse> ", 60)
    shell = Shell(m)
    m.line("console bad")
    m.expect(r"\[rouse: console of bad")
    for _ in range(40):
        m.send("x" * 256)
    m.send("\x1d")
    m.expect(r"\[rouse: left bad\]", 60)
    t.equal(shell.guests()["bad"]["state"], "running", "its state")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def side_by_side(smp):
    """QEMU's options for harts that count instructions and get on together.

    They take turns, each for its part of the time until QEMU's next timer is
    due: where that is long, the others stand still, for 40 ms at once. A
    buffer for packets that never come is a timer that is due all the time. And
    time goes on for all with the instructions of each, so that one takes less
    of it: what a hart does in a slice is what it does on a machine of one.
    """
    return counted(SHIFT - (smp.bit_length() - 1)) + [
        "-netdev", "hubport,id=pace,hubid=0", "-object",
        f"filter-buffer,id=pacer,netdev=pace,interval={PACE_US}"]


def beside(policy, smp, vcpus=None, mode="work", **sleeper):
    """The attacker and its neighbours on several harts: (how many hogs,
    guests). Where there is room for few, or its priority is the lower one, it
    has harts to itself. vcpus: of the attacker, where its share is the same with
    any number; mode: of the hogs; sleeper: more knobs of the one that sleeps."""
    room = matrix.rooms(policy, smp)
    bound = (smp // 4 or 1 if room else
             smp - 1 if promised(policy) == "priority" else smp)
    guests = [neighbour(f"hog{i}", mode, pin=[i]) for i in range(bound)]
    if not room or room > bound + 1:
        # More than any other's priority.
        guests.append(neighbour("waker", "wake", priority=150,
                                pin=[bound] if room else None, **sleeper))
    if not vcpus or promised(policy) != "weight":
        vcpus = room - len(guests) if room else 3 * smp - bound
    return bound, [attacker(vcpus=vcpus), *guests]


def on_harts(t):
    """On several harts: shares by the hypervisor's accounts, since what guests
    count is of the moments when their hart's turn was; how late the sleeper
    wakes by its own clock."""
    policy, smp, seconds = t.args["policy"], t.args["smp"], t.args["seconds"]
    bound, guests = beside(policy, smp)
    steps = []
    for attack in ("calm", *t.args["which"]):
        steps += phase(attack, seconds, quiet=attack == GARBLES)
    m = t.boot(lab=lab(*guests, scheduler=policy,
                       boot=["watch off", "watch waker", "sleep 0.5", *steps,
                             "help phase-end", "poweroff"]),
               smp=smp, mem="256M", options=side_by_side(smp))
    t.equal(m.wait(t.args["limit"]), 0, "QEMU's status")
    sleeps = len(guests) > 1 + bound
    for attack, fared, calm in all_fared(t, t.args["which"], phases(m.text),
                                         smp, sleeps):
        judge_parts(t, attack, fared, bound)
        if sleeps:
            judge_late(t, attack, fared, calm)


def due_of(t, fared):
    """What is due of a hart to each that works. All weigh the same, and each may
    have a hart at most; the attacker's priority is lower; or it has two turns of
    three on a hart, or three of four where its vCPUs aren't evenly spread, which
    is promised by none. What the sleeper has comes first, and what the console
    takes to show all this."""
    promise, smp = promised(t.args["policy"]), t.args["smp"]
    shown = fared.cpu("task_ns")
    others = fared.between.parts().get("waker", 0) + shown
    return {"weight": (smp - others) / (smp + 1), "priority": 1 - others,
            "room": 1 - shown}.get(promise, (1 - others) / 4)


def judge_parts(t, attack, fared, bound):
    """Where QEMU's turns are short (`timer-short`) time goes on for the sleeper's
    hart with the instructions of all, and 3 % of it become 14."""
    got, due = fared.between.parts(), due_of(t, fared)
    near = 0.85 - LESS[promised(t.args["policy"])]
    for i in range(bound):
        t.check(got[f"hog{i}"] >= due * near,
                f"{attack}: hog{i} had {got[f'hog{i}']:.3f} of a hart, "
                f"due are {due:.3f}")


def waited_us(attack):
    """How long who wakes may wait for the wake-ups of a crowd, beside LATE_US: a
    CPU goes on with a guest when it has seen to all that are due at once
    (docs/security.md)."""
    return (MANY_WAKES.get(attack, 0) << SHIFT) / 1000


def crowd_phase(attack):
    """As phase(), but the vCPUs are not listed: so many, that are all awake, keep
    the console from it for a minute. To pause them for that is much mail, too.
    At first the neighbour catches up with what they had while it was paused."""
    begin = phase(attack, 0, start=CROWD_START_S,
                  args=CROWD_ARGS.get(attack, ""))
    return ["guest pause hog", *begin[:begin.index(LISTS)], "guest resume hog",
            "sleep 2", "guest list -j", f"sleep {SECONDS}", "guest list -j",
            "guest stop bad"]


def judge_crowd(t, attack, text):
    """Where a share is promised, who works has as much as the crowd: both weigh
    the same. How late one wakes among hundreds that do so at once is promised by
    priorities alone: with shares each of them may have its turn first."""
    promise = promised(t.args["policy"])
    lists = [(m.end(), json.loads(m[0])) for m in
             re.finditer(r'^\{"type":"guest".*\}$', text, re.M)]
    t.equal(len(lists), 6, f"{attack}: guests in two lists")
    before, after = [{g["name"]: g for _, g in part}
                     for part in (lists[:3], lists[3:])]
    most = max((n for _, n in Fared.numbers(text[lists[2][0]:lists[3][0]],
                                            "waker", WAKES_LATE)), default=None)
    got = {name: after[name]["guest_ns"] - before[name]["guest_ns"]
           for name in ("hog", "bad")}
    with open(t.folder / "crowd.tsv", "a") as out:
        out.write(f"{attack}\t{most}\thog {got['hog']}\tbad {got['bad']}\n")
    t.equal(before["bad"]["vcpus_on"], CROWD, f"{attack}: vCPUs that are on")
    t.check(got["bad"], f"{attack}: the crowd didn't run")
    t.check(most is not None, f"{attack}: the sleeper is not heard of")
    if promise == "weight":
        t.check(got["hog"] >= (1 - NEAR) * got["bad"],
                f"{attack}: the neighbour and the crowd had {got}")
        if attack in WAKES:
            return
    limit = LATE_US[promise] + waited_us(attack)
    t.check(most <= limit, f"{attack}: the sleeper woke {most} us late, "
            f"{limit:.0f} are said")


def crowd(t):
    """The largest guest that has a controller: what one of its vCPUs does may
    concern all of them, and takes no longer for the one that wakes than is said
    where."""
    steps = [step for attack in t.args["which"] for step in crowd_phase(attack)]
    text = phases(run(t, steps, vcpus=CROWD, memory="8M").text)
    for attack in t.args["which"]:
        judge_crowd(t, attack, text[attack])


def tests(full):
    cases = [Case("every_attack_is_looked_at", listed, timeout=60)]
    some = matrix.sharing_or_default(full)
    cases += [Case(f"reboots_of_many_vcpus_hold_up_nobody,{policy}", reboots,
                   timeout=300, policy=policy, seconds=2)
              for policy in matrix.looking_at("priority")]
    for policy in matrix.sharing():
        cases.append(Case(f"no_attack_costs_a_neighbour_its_due,{policy}",
                          attacks, timeout=900, policy=policy,
                          which=which(policy, full), limit=800,
                          seconds=2 if full else seconds_of(policy)))
    cases += [Case(f"a_guest_of_{CROWD}_vcpus_makes_nobody_wait,{policy}", crowd,
                   timeout=300, policy=policy, limit=280, which=tried)
              for policy in matrix.sharing()
              if (tried := crowd_of(policy, full))]
    cases += [Case(f"an_attacker_of_many_vcpus_costs_no_more,{policy}", many,
                   timeout=300, policy=policy, vcpus=MANY_VCPUS,
                   seconds=many_seconds(policy))
              for policy in some]
    cases += [Case(f"who_is_woken_in_anothers_turn_pays_for_it,{policy}", wakes,
                   timeout=300, policy=policy, seconds=SECONDS,
                   which=(*(WAKES if full else WAKES[1:2]), "rtc-asleep"))
              for policy in some]
    cases += [Case(f"who_is_started_and_sent_elsewhere_pays_for_it,{policy}",
                   starts, timeout=300, policy=policy, seconds=1)
              for policy in matrix.sharing() if promised(policy) in ROUNDS]
    cases += [Case("masks_that_change_while_they_are_read_hurt_nobody", race,
                   timeout=120, seconds=20 if full else 3),
              Case("no_answer_is_an_address_of_the_host", answers, timeout=300,
                   seconds=1.5 if full else 1)]
    cases += [Case(f"no_flood_costs_a_neighbour_its_due_while_shown,{policy}",
                   floods, timeout=300, policy=policy,
                   seconds=2 if full else SECONDS) for policy in some]
    cases += [Case(f"no_attack_costs_a_neighbour_its_due,{smp}_harts,{policy}",
                   on_harts, timeout=1800, smp=smp, policy=policy, limit=1700,
                   which=which_on(smp, policy, full), seconds=1)
              for smp in (2, 4) for policy in matrix.policies()
              if which_on(smp, policy, full)]
    for smp in (1, 2) if full else (1,):
        for cpu in ((CPU, f"{CPU},vlen=1024", "rv64,v=off",
                     "rv64,v=off,d=off,f=off,zfa=off") if full else (CPU,)):
            cases.append(Case(f"no_guest_finds_anothers_mark,{smp}_harts,"
                              f"{cpu.partition(',')[2]}", leaks, timeout=300,
                              smp=smp, cpu=cpu, rounds=4 if full else 2))
    cases += [Case(f"faults_without_end_are_the_guests_own_time,{policy}",
                   endless, timeout=200, policy=policy) for policy in some]
    return cases + [
        Case("who_never_reads_is_left_by_a_key", ignored_input, timeout=120)]
