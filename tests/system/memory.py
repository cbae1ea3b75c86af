"""What guests leave behind: no memory, whatever way they end; and the status
that becomes QEMU's."""

import gzip
import json
import re

import matrix
from harness import Case, GUESTS
from labs import Shell, guest, lab, pages

HELLO = "kernel=baremetal/hello.elf"


def begin(t, *guests, **options):
    m = t.boot(lab=lab(*guests), mem="256M", **options)
    m.expect("^rouse> ")
    shell = Shell(m)
    shell.quiet()
    return m, shell


LAST_LINE = "\x10\r"           # Ctrl-P; a long one is typed only once


def again(m, commands, times):
    """Types the same commands so many times. For each time, host memory as
    (free, objects), wherever they ask for it: [[(..), (..)], ...]. Free is
    that of `pages`. A line that repeats the last one is not added to the
    history, so nothing that the shell keeps changes from the first time on."""
    asked = commands.count("mem -j")
    found = []
    for n in range(times):
        if n:
            m.send(LAST_LINE)
        else:
            m.line(commands)
        rows = [m.expect(r'^(\{"type":"memory",.*\})\n', 120).group(1)
                for _ in range(asked)]
        # Shell wants to see the prompt, too.
        m.seen = m.expect(r"^rouse> ").start()
        rows = [json.loads(row) for row in rows]
        found.append([(pages(r), r["object_bytes"]) for r in rows])
    return found


# Ways of a guest's life between create and destroy: its knobs, and commands.
LIVES = {
    "never_started": (f"memory=16M {HELLO}", ""),
    "powered_off": (f"memory=16M {HELLO}", "guest start g; guest wait g"),
    "populated_at_once": (f"memory=24M populate=eager vcpus=2 {HELLO}",
                          "guest start g; guest wait g"),
    "stopped_while_running": (
        "memory=16M vcpus=4 kernel=baremetal/spin.elf",
        "guest start g; sleep 0; guest stop g"),
    "reset_twice": (
        "memory=16M vcpus=2 kernel=baremetal/tick.elf bootargs=seconds=0",
        "guest start g; guest reset g; guest reset g; guest stop g"),
    "paused_to_death": (
        "memory=16M vcpus=2 kernel=baremetal/pingpong.elf",
        "guest start g; guest pause g; guest stop g"),
    "rebooted_by_itself": (
        f"memory=16M on-reboot=stop {HELLO} bootargs=reboot=1",
        "guest start g; guest wait g"),
    "touched_all_of_it": ("memory=8M vcpus=2 kernel=baremetal/toucher.elf",
                          "guest start g; guest wait g"),
    "moved_and_changed": (
        "memory=16M vcpus=2 kernel=baremetal/spin.elf rtc.absent",
        "guest start g; vcpu pin g:0 1; set g weight=9 affinity=0 "
        "bootargs=; set g pin=1,1; vcpu regs g:0 g:1; guest stop g"),
    "another_image": ("memory=16M kernel=baremetal/hello.bin",
                      "guest start g; guest wait g"),
    "refused": ("memory=16M vcpus=2 weight=0 kernel=baremetal/tick.elf", None),
    "too_large": ("memory=300M vcpus=2 kernel=baremetal/tick.elf", None),
    "ill_equipped": ("memory=16M vcpus=2 kernel=baremetal/tick.elf rtc.irq=10",
                     None),
}


def nothing_is_lost(t):
    """Free memory and objects are exactly as before after each life."""
    images = [guest(name, autostart=False, memory="16M",
                    kernel=f"baremetal/{name}")
              for name in ("hello.elf", "hello.bin", "spin.elf", "tick.elf",
                           "pingpong.elf", "toucher.elf")]
    m, shell = begin(t, *images, append=t.args["append"], smp=t.args["smp"])
    shell.use_up_names()
    bad = []
    for name, (knobs, life) in LIVES.items():
        seen = again(m, f"guest create g {knobs}; {life or 'sleep 0'}; "
                     "mem -j; guest destroy g; mem -j", 1 + t.args["rounds"])
        if any((with_it[0] < after[0]) != (life is not None)
               for with_it, after in seen):
            bad.append(f"{name}: with the guest, and without: {seen}")
        if any(after != seen[0][1] for _, after in seen):
            bad.append(f"{name}: (free, objects) after each: "
                       f"{[after for _, after in seen]}")
    t.check(not bad, "\n".join(bad))
    t.equal(len(shell.guests()), len(images), "guests in the end")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def nothing_piles_up(t):
    """A guest that starts again and again holds what it held at first."""
    m, shell = begin(t, guest("again", "hello", autostart=False, vcpus=2,
                              bootargs="reboot=1"),
                     guest("by-hand", "hello", autostart=False))
    # The first starts make what a guest keeps for good, its page tables.
    lives = ("guest start again by-hand; guest wait by-hand; sleep 1; "
             "guest stop again")
    shell.run(lives)
    boots = shell.guests()["again"]["boots"]
    rounds = t.args["rounds"]
    seen = again(m, lives + "; mem -j", 1 + rounds)
    t.equal({row[0] for row in seen}, {seen[0][0]},
            "(free bytes, bytes of objects)")
    now = shell.guests()
    t.check(now["again"]["boots"] >= boots + 3 * rounds, "it reboots too "
            f"seldom: {now['again']['boots'] - boots} starts")
    t.equal(now["by-hand"]["boots"], rounds + 2, "starts by hand")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


# Short lives in a row: each ends in another way, which is told in such a line.
SHORT_LIVES = [
    ("hello", "vcpus=2", "guest start {0}; guest wait {0}",
     "powered off, status 0"),
    ("spin", "vcpus=4", "guest start {0}; sleep 0; guest stop {0}",
     "was stopped, status 0"),
    ("hello", "on-reboot=stop bootargs=reboot=1",
     "guest start {0}; guest wait {0}", "rebooted, status 0"),
    ("hostile", "vcpus=2 bootargs=attack=all-off",
     "guest start {0}; guest wait {0}", "powered off, status 1"),
    ("spin", "vcpus=2",
     "guest start {0}; sleep 0; fault crash {0}:0; guest wait {0}",
     "crashed, status 1"),
]
# And one that is never begun, and those that find no memory while they are made:
# the n-th allocation from there on fails, early, in the middle, late.
UNBORN = ("guest create n memory=8M kernel=baremetal/tick.elf vcpus=3; "
          "guest destroy n")
NO_ROOM = [4, 12, 36]
SHORT_OF = "fault alloc {}; guest create m memory=8M kernel=baremetal/tick.elf"
REFUSAL = r"^guest create: m: (?:no memory|not enough host memory) .*\n"


def many_lives(t):
    """Made, run, ended and destroyed, over and over, some in vain: memory is as
    it was, and a neighbour has noticed nothing."""
    images = {life[0] for life in SHORT_LIVES} | {"tick"}
    m, shell = begin(t, *[guest(f"image-{name}", name, autostart=False,
                                memory="8M") for name in images],
                     guest("other", "tick", bootargs="seconds=0"), smp=2)
    line = "; ".join(
        [f"guest create g{i} memory=8M kernel=baremetal/{image}.elf {knobs}; "
         f"{life.format(f'g{i}')}; guest destroy g{i}"
         for i, (image, knobs, life, _) in enumerate(SHORT_LIVES)]
        + [UNBORN] + [SHORT_OF.format(n) for n in NO_ROOM] + ["fault alloc 0"])
    times = t.args["lives"] // len(SHORT_LIVES)
    # A trace's reader is told the names of the last 256 vCPUs that are gone:
    # with 14 in a row, that many there are after 19.
    seen = again(m, f"{line}; mem -j", times)[19:]
    t.equal({row[0] for row in seen}, {seen[0][0]},
            "(free bytes, bytes of objects)")
    for i, (_, _, _, end) in enumerate(SHORT_LIVES):
        t.equal(m.text.count(f"] g{i}: {end}\n"), times, f"g{i}: {end}")
    refused = re.findall(REFUSAL, m.text, re.M)
    t.equal(len(refused), times * len(NO_ROOM), "creations without memory")
    # No other was.
    t.equal(m.text.count("error: "), 2 * times, "the two lines of each crash")
    t.check("expected" not in m.text.replace("help: no command", ""),
            "a command was refused")
    other = shell.guests()["other"]
    t.equal((other["state"], other["boots"]), ("running", 1), "its neighbour")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


# --- statuses -----------------------------------------------------------------


def status(t):
    """A lab that ends by itself: its guests, and what becomes of QEMU."""
    # An image that is broken deep inside: it has the size that it says.
    data = bytearray(gzip.compress((GUESTS / "baremetal/hello.bin")
                                   .read_bytes()))
    half = len(data) // 2
    data[half:half + 64] = bytes(64)
    (t.folder / "broken.gz").write_bytes(data)
    m = t.boot(lab=lab(*t.args["guests"],
                       poweroff=t.args.get("when_done", True)), mem="256M",
               append=t.args.get("append", ""))
    t.equal(m.wait(), t.args["wanted"], "QEMU's status")
    for pattern in t.args.get("says", ()):
        t.check(re.search(pattern, m.text, re.M), f"no {pattern!r}")
    for pattern in t.args.get("never", ()):
        t.check(not re.search(pattern, m.text, re.M), f"there is {pattern!r}")


def hello(name, args="", **knobs):
    return guest(name, "hello", bootargs=args, **knobs)


def broken(name, **knobs):
    return guest(name, memory="16M", kernel="broken.gz", **knobs)


HOG = guest("hog", "spin", slice_us=2000)

# name, the guests, QEMU's status, further words
STATUSES = [
    ("the_only_guest's", [hello("a", "exit=3")], 3, {}),
    ("nobody's_complaint", [hello("a"), hello("b")], 0, {}),
    ("the_worst_of_three",
     [hello("a", "exit=3"), hello("b", "exit=7"), hello("c")], 7, {}),
    ("not_that_of_one_never_started",
     [hello("a", "exit=3"), hello("b", "exit=9", autostart=False)], 3, {}),
    ("never_0_for_256", [hello("a", "exit=256")], 255, {}),
    ("1_for_a_guest_that_could_not_start", [broken("a")], 1,
     {"says": [r"a: can't be started: ", r"a: crashed, status 1"]}),
    *[(f"1_for_one_that_has_no_room,{p}",
       [guest(n, "spin", pin=1, on_crash="host-poweroff") for n in "ab"], 1,
       {"append": f"sched={p}", "says": [r"[ab]: can't be started: "]})
      for p in matrix.policies() if matrix.rooms(p, 1) == 1],
    # What happens when it ends.
    ("on-poweroff=host-poweroff",
     [hello("a", "exit=5", on_poweroff="host-poweroff"), HOG], 5,
     {"says": [r"a: powered off, status 5; the host powers off"]}),
    ("on-poweroff=stop", [hello("a", "exit=5", on_poweroff="stop")], 5,
     {"says": [r"a: powered off, status 5\n"]}),
    ("on-reboot=stop", [hello("a", "reboot=1", on_reboot="stop")], 0,
     {"says": [r"a: rebooted, status 0\n"], "never": [r"starts again"]}),
    ("on-reboot=host-poweroff",
     [hello("a", "reboot=2", on_reboot="host-poweroff"), HOG], 0,
     {"says": [r"a: rebooted, status 0; the host powers off"]}),
    ("on-crash=stop", [broken("a", on_crash="stop"), hello("b")], 1, {}),
    ("on-crash=host-poweroff",
     [broken("a", on_crash="host-poweroff"), HOG], 1,
     {"says": [r"a: crashed, status 1; the host powers off"]}),
    # What can't be started would fail for ever.
    ("on-crash=restart_of_what_can't_start",
     [broken("a", on_crash="restart")], 1,
     {"says": [r"a: crashed, status 1\n"], "never": [r"starts again"]}),
]


def restarts(t):
    """on-poweroff and on-reboot = restart: again and again, each from its
    images, until told otherwise."""
    m = t.boot(lab=lab(hello("off", "exit=4", on_poweroff="restart", vcpus=2),
                       hello("warm", "reboot=2"), poweroff=True), mem="256M")
    m.expect("^rouse> ")
    shell = Shell(m)
    for name in ("off", "warm"):
        for _ in range(3):
            m.expect(rf"^(?:rouse> .*)?\[{name}\] hello: hart 0 of ")
    shell.quiet()
    now = shell.guests()
    t.check(all(now[n]["boots"] >= 3 for n in now), "they did not start anew")
    t.equal({n: (g["last_event"], g["last_code"]) for n, g in now.items()},
            {"off": ("poweroff", 4), "warm": ("reboot", 0)}, "their ends")
    # Live: the next end is the last.
    m.line("set off on-poweroff=stop; set warm on-reboot=host-poweroff")
    t.check(m.wait() in (0, 4), "QEMU's status is neither guest's")


SMALL = "kernel=small.bin load=0x80000000"
MIB = 1 << 20


def free_memory(shell):
    return next(row for row in shell.json("mem")
                if row["type"] == "memory")


def create_small(shell, names, size="1M"):
    """Guests that only take memory away."""
    for at in range(0, len(names), 8):
        shell.run("; ".join(f"guest create {n} memory={size} {SMALL}"
                            for n in names[at:at + 8]), 120)


def crashes(t):
    """A guest that runs and can't go on: on-crash has its say. Nothing that
    can happen to one that was created does that; so it is asked for. What is
    told are records of the CPU at which it is, so there is one."""
    m, shell = begin(t, guest("v", "tick", vcpus=2, autostart=False,
                              bootargs="seconds=0"),
                     guest("other", "tick", bootargs="seconds=0"), smp=1)
    shell.run("trace on sched size=64")
    # The guest runs, and then can't go on; stopped, it can be started again.
    for n in (1, 2):
        shell.run("guest start v; sleep 0.5; fault crash v:1; guest wait v")
        got = shell.guests()["v"]
        t.equal((got["state"], got["last_event"], got["last_code"],
                 got["boots"]), ("stopped", "crash", 1, n), "the end of it")
    t.check(re.search(r"v: vCPU 1 can't go on at pc 0x[0-9a-f]+: so it was "
                      r"asked for\n", m.text), "no reason is given")
    # Nor is what led to it missing.
    t.check(re.search(r"so it was asked for\n(?:.*error: v:   \d+\.\d{6} \w+ "
                      r".*\n){1,8}", m.text), "the last records are not told")
    t.check("no trace" not in m.text, "there are no records")
    m.line("fault crash v:0")
    m.expect("fault crash: v is stopped; expected a running guest")
    shell.run("set v on-crash=restart; guest start v")
    for _ in range(2):
        shell.run("sleep 0.5; fault crash v:0")
        m.expect(r"v: crashed, status 1; starts again\n", 60)
        m.expect(r"v: starts at", 60)
    now = shell.guests()
    t.check(now["v"]["boots"] >= 4, f"boots: {now['v']['boots']}")
    t.equal((now["other"]["state"], now["other"]["boots"]), ("running", 1),
            "its neighbour")
    m.line("set v on-crash=host-poweroff; fault crash v:0")
    m.expect(r"v: crashed, status 1; the host powers off\n", 60)
    t.equal(m.wait(), 1, "QEMU's status")


def survives(t):
    """A guest that was created starts, touches all its RAM, reboots and starts
    again, when others have taken all other memory. Its own is in pieces smaller
    than a large page, which need a table for each 2 MiB, and its image must be
    unpacked."""
    (t.folder / "small.bin").write_bytes(b"x" * 4096)
    (t.folder / "toucher.gz").write_bytes(gzip.compress(
        (GUESTS / "baremetal/toucher.elf").read_bytes()))
    m = t.boot(lab=lab(guest("t", memory="1M", kernel="small.bin",
                             load=0x80000000, autostart=False),
                       guest("toucher", memory="16M", kernel="toucher.gz",
                             autostart=False),
                       guest("other", "tick", bootargs="seconds=0")),
               mem="128M", smp=1)
    m.expect("^rouse> ")
    shell = Shell(m)
    shell.quiet()
    before = free_memory(shell)["free_bytes"]
    create_small(shell, ["s0", "s1", "s2", "s3"])
    cost = (before - free_memory(shell)["free_bytes"]) // 4
    names = [f"f{i}" for i in range(before // cost - 6)]
    create_small(shell, names)
    for at in range(0, len(names), 16):
        shell.run("guest destroy " + " ".join(names[at:at + 16:2]))
    shell.run(f"guest create v memory={len(names) * 2 // 5}M "
              "on-poweroff=restart kernel=toucher.gz; watch v")
    # One that leaves 2 MiB, and one of exactly what is left but 10 pages.
    left = free_memory(shell)["free_bytes"]
    create_small(shell, ["last"], f"{(left - 3 * MIB) >> 12 << 2}K")
    left = free_memory(shell)["free_bytes"]
    t.check(cost + (64 << 10) < left < 4 * MIB, f"{left} bytes are left")
    create_small(shell, ["least"],
                 f"{(left - (cost - MIB) - (40 << 10)) >> 12 << 2}K")
    left = free_memory(shell)
    t.check(left["free_bytes"] < 14 * 4096, f"too much is free: {left}")
    for n in (1, 2):
        shell.run("guest start v")
        for _ in range(2):
            m.expect(r"v: powered off, status 0; starts again\n", 120)
        shell.run("guest stop v")
        t.check(m.text.count("[v] toucher: ok") >= 2 * n,
                "it has not touched all of it")
    t.check("can't" not in m.text, "something can't go on")
    # Two lives of each start are over; a third may not have begun.
    t.check(shell.guests()["v"]["boots"] >= 4, "it has not rebooted")
    t.check(free_memory(shell)["free_bytes"] < 14 * 4096, "memory is free")
    # And all that it had comes back.
    shell.run("guest destroy v")
    t.check(free_memory(shell)["free_bytes"] > len(names) * 2 // 5 * MIB,
            "its memory is gone")
    now = shell.guests()
    t.equal((now["other"]["state"], now["other"]["boots"]), ("running", 1),
            "its neighbour")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def changes_populate(t):
    """Pages of 1 GiB and the tables that stand in their place otherwise, from
    start to start."""
    m = t.boot(lab=lab(guest("g", "hello", memory="1040M", vcpus=2,
                             autostart=False, populate="eager")), mem="3G")
    m.expect("^rouse> ")
    shell = Shell(m)
    shell.run("watch g")
    before = pages(free_memory(shell))
    for n in range(3):
        for word in ("eager", "lazy"):
            shell.run(f"set g populate={word}; guest start g; guest wait g",
                      300)
            got = shell.guests()["g"]
            t.equal((got["last_event"], got["last_code"]), ("poweroff", 0),
                    f"the end of an {word} life")
            t.equal(got["touched_bytes"] >= 1040 * MIB, word == "eager",
                    f"all of it is touched if it's {word}")
    t.equal(m.text.count("hello: bye"), 6, "lives")
    t.equal(pages(free_memory(shell)), before, "bytes that are no object's")
    shell.run("guest destroy g")
    t.check(pages(free_memory(shell)) > before + 1040 * MIB,
            "its memory is gone")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def poweroff_status(t):
    """`poweroff N` ends the machine with N, whatever guests do."""
    m, shell = begin(t, HOG)
    m.line(f"poweroff {t.args['status']}")
    t.equal(m.wait(), t.args["wanted"], "QEMU's status")


def tests(full):
    cases = [Case(f"ended_guests_leave_no_memory_behind,{policy},{smp}_harts",
                  nothing_is_lost, timeout=900, rounds=10 if full else 2,
                  append=f"sched={policy}", smp=smp)
             for policy in (matrix.policies() if full else [matrix.default()])
             for smp in ((1, 2, 4) if full else (2,))
             # Some wait for the second of two vCPUs.
             if (matrix.rooms(policy, smp) or 2) > 1]
    lives = 10000 if full else 150
    cases += [Case(f"{lives}_lives_leave_memory_as_it_was", many_lives,
                   timeout=3000 if full else 200, lives=lives)]
    cases += [Case("restarts_pile_nothing_up", nothing_piles_up, timeout=300,
                   rounds=30 if full else 3)]
    cases += [Case(f"the_status_is_{name}", status, timeout=60, guests=guests,
                   wanted=wanted, **more)
              for name, guests, wanted, more in STATUSES]
    cases += [Case("restarted_guests_begin_anew", restarts, timeout=120)]
    cases += [Case("a_running_guest_that_crashes_ends_as_on-crash_says",
                   crashes)]
    cases += [Case("a_guest_needs_no_memory_that_others_can_take", survives,
                   timeout=240)]
    if full:
        cases += [Case("populate_may_be_another_at_each_start",
                       changes_populate, timeout=900)]
    cases += [Case(f"poweroff_{n}_is_status_{wanted}", poweroff_status,
                   timeout=60, status=n, wanted=wanted)
              for n, wanted in ((0, 0), (77, 77), (512, 255))]
    return cases
