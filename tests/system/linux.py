"""Debian Linux guests, alone, in numbers, and with the others."""

import itertools
import re

import matrix
from faults import board, pack, tree_write
from harness import Case, TOP
from labs import Shell, guest, lab, linux, said, says

ESCAPE = "\x1d"     # Ctrl-], which leaves a guest's console
UP = "rouse-guest: up, {} harts"

# Both at once, for ten seconds and until hackbench is through.
WORK = ("stress-ng --cpu 2 --timeout 10 & hackbench -g 2 -l 200; h=$?; wait $!;"
        " echo work-of-$(hostname): $h $?")


def up(name, harts=2):
    return says(name, UP.format(harts))


def everywhere(t):
    """One Linux boots, works a little on all of its CPUs, and powers off."""
    row = t.args["row"]
    vcpus = min(4, matrix.rooms(row["policy"], row["smp"]) or 4)
    work = ('run="hackbench -g 2 -l 50 && grep -c ^processor /proc/cpuinfo"'
            " then=poweroff")
    m = t.boot(lab=lab(linux("debian", work, vcpus=vcpus,
                             initrd="linux/initrd.gz"), poweroff=True),
               mem="512M", **matrix.options(row))
    matrix.expect_host(m, row)
    m.expect(up("debian", vcpus), 300)
    m.expect(said("debian", rf"{vcpus}\n"), 300)
    m.expect(says("debian", "rouse-guest: run ended, status 0"), 60)
    t.equal(m.wait(), 0, "QEMU's status")


def own_tree(t):
    """A tree of the guest's own, with four CPUs of which it has two, other
    RAM, and none of the machine's devices that a guest hasn't got."""
    text = board(t, pack(t, guest("hello", "hello")), "virt", 4)
    text = text.replace("memory@80000000", "ram@0")
    for node in ("pci@", "virtio_mmio@", "flash@", "fw-cfg@", "clint@",
                 "platform-bus@", "pmu ", "pmu@"):
        text = re.sub(rf"(\t+){node}.*?\n\1}};\n", "", text, flags=re.S)
    tree_write(t, text, "own.dtb")
    work = ('run="cd /proc/device-tree && echo nodes: memory@* ram@* '
            'cpus/cpu@* && grep -c ^processor /proc/cpuinfo"')
    m = t.boot(lab=lab(linux("own", f"{work} then=poweroff", vcpus=2,
                             dtb="own.dtb"), poweroff=True), mem="512M")
    m.expect(up("own"), 300)
    m.expect(said("own", r"nodes: memory@80000000 ram@\* cpus/cpu@0 "
                         r"cpus/cpu@1\n"), 120)
    m.expect(said("own", r"2\n"), 120)
    m.expect(says("own", "rouse-guest: run ended, status 0"), 60)
    t.equal(m.wait(), 0, "QEMU's status")


def type_into(m, name, command):
    """Attaches to a guest, waits for its prompt, types a command, comes
    back."""
    m.line(f"console {name}")
    m.expect(rf"\[rouse: console of {name}, ")
    m.send("\r")
    m.expect(rf"{name}:\S*[#$] ", 120)
    m.line(command)
    m.send(ESCAPE)
    m.expect(rf"\[rouse: left {name}\]")


def two_at_work(t):
    guests = [linux(n, initrd="linux/initrd.gz", memory="192M")
              for n in ("linux0", "linux1")]
    m = t.boot(lab=lab(*guests, poweroff=True), append=t.args["append"])
    m.expect_all([up("linux0"), up("linux1")], 300)
    for name in ("linux0", "linux1"):
        type_into(m, name, WORK)
    # Its echo is no answer: there the name is not known yet.
    m.expect_all([r"work-of-linux0: 0 0", r"work-of-linux1: 0 0"], 300)
    for name in ("linux0", "linux1"):
        type_into(m, name, "poweroff -f")
    t.equal(m.wait(), 0, "QEMU's status")


def reboot(t):
    m = t.boot(lab=lab(linux("once-more"), linux("witness")),
               append=t.args["append"])
    m.expect_all([up("once-more"), up("witness")], 300)
    shell = Shell(m)
    for n in range(2, 4):
        type_into(m, "once-more", "reboot -f")
        m.expect(up("once-more"), 300)
        now = shell.guests()
        t.equal(now["once-more"]["boots"], n, "starts of the rebooted guest")
        t.equal(now["once-more"]["last_event"], "reboot", "its last event")
        t.equal(now["witness"]["boots"], 1, "starts of the other guest")
    type_into(m, "witness", "echo still-$(hostname)")
    m.expect("still-witness", 120)
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def many(t):
    n = t.args["guests"]
    names = [f"linux{i}" for i in range(n)]
    m = t.boot(lab=lab(*[linux(name) for name in names], poweroff=True),
               mem="2G", append=t.args["append"])
    m.expect_all([up(name) for name in names], 900)
    for name in names:
        type_into(m, name, "poweroff -f")
    t.equal(m.wait(120), 0, "QEMU's status")


def no_stuck_vcpu(t):
    """Four vCPUs on two harts under stress: each of them goes on."""
    seconds = t.args["seconds"]
    work = (f"stress-ng --cpu 4 --switch 2 --timer 2 --timeout {seconds} "
            "--metrics-brief")
    m = t.boot(lab=lab(linux("four", f'run="{work}" then=poweroff', vcpus=4,
                             initrd="linux/initrd.gz", memory="256M"),
                       poweroff=True), append=t.args["append"],
               machine=matrix.HOSTS[t.args["host"]][0])
    m.expect(up("four", 4), 300)
    m.expect(r"dispatching hogs", 120)
    shell = Shell(m)
    before = shell.vcpus()
    m.expect(r"successful run completed", 120 + seconds * 10)
    after = shell.vcpus()
    for key, v in after.items():
        for what in ("running_ns", "dispatches", "exits"):
            t.check(v[what] > before[key][what], f"{what} of vCPU {key} is "
                    f"{v[what]} as before: it got stuck")
    t.equal(m.wait(), 0, "QEMU's status")
    # It may have ended while the vCPUs were listed.
    t.check("run ended, status 0" in m.text, "it has not ended well")
    for stressor in ("cpu", "switch", "timer"):
        done = re.search(rf"metrc: \[\d+\] {stressor} +(\d+) ", m.text)
        t.check(done and int(done.group(1)) > 0, f"{stressor} did nothing")


def demo(t):
    """The demonstration: seven vCPUs of four guests on two harts."""
    m = t.boot(lab=TOP / "guests" / "labs" / "demo.dts",
               append=t.args["append"] + ' cmd="watch all"')
    m.expect_all([up("linux0"), up("linux1"), said("uboot", "U-Boot 20"),
                  said("tick", "tick: 3 s")], 400)
    shell = Shell(m)
    for name in ("linux0", "linux1"):
        type_into(m, name, "stress-ng --cpu 2 --timeout 5; echo end-$?-$((1+1))"
                  if name == "linux0" else "dd if=/dev/zero of=/tmp/z bs=1M "
                  "count=32 && md5sum /tmp/z | cut -c1-8")
    m.expect_all([r"end-0-2", r"58f06dd5"], 300)
    listed = shell.guests()
    t.equal({n: g["state"] for n, g in listed.items()},
            dict.fromkeys(("linux0", "linux1", "uboot", "tick"), "running"),
            "states")
    t.equal({n: g["boots"] for n, g in listed.items()},
            dict.fromkeys(("linux0", "linux1", "uboot", "tick"), 1), "starts")
    m.line("poweroff 0")
    t.equal(m.wait(), 0, "QEMU's status")


def tests(full):
    policies = matrix.policies()
    sharing = matrix.sharing()
    some = matrix.sharing_or_default(full)
    if full:
        rows = matrix.configurations(full, policy=policies)
    else:
        # Timers and interrupt hardware; other pairs are the smaller guests'.
        rows = matrix.pairs({"sstc": (True, False),
                             "host": ("plic", "aclint", "aia")})
        rows = [{"smp": smp, **row, "policy": policy}
                for row, smp, policy in zip(rows, itertools.cycle(matrix.HARTS),
                                            itertools.cycle(policies))]
    cases = [Case(f"two_linuxes_work_at_once_and_power_off,{p}", two_at_work,
                  timeout=900, append=f"sched={p}") for p in some]
    cases += [Case(f"a_linux_that_reboots_comes_back,{p}", reboot, timeout=600,
                   append=f"sched={p}") for p in some]
    # With AIA a peer's guests froze here; the first policy is as good as any.
    cases += [Case(f"four_vcpus_under_stress_on_two_harts_all_go_on,{p},{host}",
                   no_stuck_vcpu, timeout=1200, seconds=60 if full else 10,
                   append=f"sched={p}", host=host) for p in sharing
              for host in ("plic", "aia")
              if full or (host == "aia") == (p == sharing[0])]
    cases += [Case(f"the_demonstration_runs,{p}", demo, timeout=900,
                   append=f"sched={p}") for p in some]
    cases += [Case(f"{n}_linuxes_on_two_harts_reach_their_shell,{p}", many,
                   timeout=1500, guests=n, append=f"sched={p}")
              for n in ((8,) if full else (4,)) for p in some]
    cases += [Case("a_linux_with_a_tree_of_its_own_boots", own_tree,
                   timeout=600)]
    cases += [Case(f"linux_boots_and_works,{matrix.label(row)}", everywhere,
                   timeout=600, row=row) for row in rows]
    return cases
