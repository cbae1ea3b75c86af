"""The hunt for lost wake-ups: a guest whose vCPUs wake one another at random
moments by every way there is, and that finds each wake-up that went missing.

Alone, beside guests that use up every CPU, and while vCPUs move about.
"""

import re

import matrix
from harness import Case
from labs import Shell, guest, lab

KICKS = ("ipi", "ipi-all", "ipi-legacy", "uart", "plic-enable",
         "plic-threshold", "plic-priority", "plic-complete", "rtc",
         "hart-start")
FROM_ANOTHER = {"plic-complete", "hart-start"}  # no vCPU does this to itself


def judge(t, text, vcpus, rounds):
    """The hunt's own report: as many wake-ups as wanted, by all ways."""
    t.check("wakehunt: ok, 0 lost" in text, "the hunt is not content")
    counts = dict(re.findall(r"wakehunt: kick +(\S+) +(\d+),", text))
    missing = set(KICKS) - set(counts)
    if vcpus == 1:
        missing -= FROM_ANOTHER
    t.check(not missing, f"never used: {sorted(missing)}")
    t.check(sum(map(int, counts.values())) >= rounds, f"too few: {counts}")


def alone(t):
    row, rounds = t.args["row"], t.args["rounds"]
    vcpus = matrix.rooms(row["policy"], row["smp"]) or max(4, row["smp"])
    m = t.boot(lab=lab(guest("hunt", "wakehunt", vcpus=vcpus, slice_us=1000,
                             wfi=row.get("wfi"),
                             bootargs=f"rounds={rounds} watchdog_ms=10000"),
                       poweroff=True), mem="512M", **matrix.options(row))
    matrix.expect_host(m, row)
    t.equal(m.wait(t.args["limit"]), 0, "QEMU's status")
    judge(t, m.text, vcpus, rounds)


def hunt_is_over(t, m, rounds):
    m.line("guest wait hunt; guest list -j; poweroff")
    m.expect(r'"name":"hunt","state":"stopped".*"last_event":"poweroff",'
             r'"last_code":0', t.args["limit"])
    t.equal(m.wait(), 0, "QEMU's status")
    judge(t, m.text, 4, rounds)


def beside_hogs(t):
    row, rounds = t.args["row"], t.args["rounds"]
    m = t.boot(lab=lab(guest("hunt", "wakehunt", vcpus=4, slice_us=1000,
                             bootargs=f"rounds={rounds} watchdog_ms=10000"),
                       guest("hog", "spin", vcpus=row["smp"], slice_us=1000)),
               mem="512M", **matrix.options(row))
    m.expect("rouse> ", 60)
    Shell(m).run("watch hunt")
    hunt_is_over(t, m, rounds)


def while_moving(t):
    """vCPUs are pinned here and there, paused and resumed, meanwhile."""
    row, rounds = t.args["row"], t.args["rounds"]
    m = t.boot(lab=lab(guest("hunt", "wakehunt", vcpus=4, slice_us=1000,
                             bootargs=f"rounds={rounds} watchdog_ms=10000")),
               mem="512M", **matrix.options(row))
    m.expect("rouse> ", 60)
    shell, moves = Shell(m), 0
    while "wakehunt: ok" not in m.text and "FAIL" not in m.text:
        cpu = moves * 7 % row["smp"]
        shell.run(f"vcpu pin hunt:{moves % 4} {cpu}; guest pause hunt; "
                  f"guest resume hunt; vcpu pin hunt:{(moves + 1) % 4} none")
        moves += 1
    t.check(moves >= 3, "it was over before anything could be moved")
    hunt_is_over(t, m, rounds)


NEVER_MS = 1000000000


def undisturbed(t):
    """One token goes round, nothing else happens where it does, and nobody comes
    to the rescue: neither a guest's timer nor Rouse's watchdog. So the first ring
    that a CPU which sleeps does not hear is the end."""
    row, rounds = t.args["row"], t.args["rounds"]
    knobs = {"autostart": False, "affinity": "1-3"}
    guests = [guest("pair", "pingpong", vcpus=2, bootargs=f"rounds={rounds} "
                    f"watchdog_ms={NEVER_MS}", **knobs),
              guest("hunt", "wakehunt", vcpus=4, bootargs=f"rounds={rounds} "
                    f"tokens=1 delay_us=20 watchdog_ms={NEVER_MS} timers=1",
                    **knobs)]
    m = t.boot(lab=lab(*guests, boot=[f"guest start {g}; guest wait {g}"
                                      for g in ("pair", "hunt")]
                       + ["guest list -j", "poweroff"]), mem="512M",
               **matrix.options(row, "watchdog=off"))
    matrix.expect_host(m, row)
    t.equal(m.wait(t.args["limit"]), 0, "QEMU's status")
    t.equal(re.findall(r'"name":"(\w+)".*?"last_event":"(\w+)","last_code":'
                       r"(\d+)", m.text),
            [("pair", "poweroff", "0"), ("hunt", "poweroff", "0")], "ends")


def tests(full):
    policies = matrix.policies()
    sharing = matrix.sharing()
    rounds = 100000 if full else 3000
    rows = matrix.configurations(full, policy=policies)
    cases = [Case(f"no_wake_up_is_lost,{matrix.label(row)}", alone,
                  timeout=1800 if full else 400, row=row, rounds=rounds,
                  limit=1700 if full else 370)
             for row in rows]
    hosts = ("plic", "aclint", "aia")
    rows = matrix.configurations(full, policy=sharing, smp=(2, 4), host=hosts)
    cases += [Case(f"no_wake_up_is_lost_beside_hogs,{matrix.label(row)}",
                   beside_hogs, timeout=1800 if full else 400, row=row,
                   limit=1700 if full else 370,
                   rounds=rounds // (3 if full else 10))
              for row in rows[:None if full else 4]]
    cases += [Case(f"no_wake_up_is_lost_while_vcpus_move,{matrix.label(row)}",
                   while_moving, timeout=1800 if full else 400, row=row,
                   limit=1700 if full else 370, rounds=rounds)
              for row in rows[:None if full else 3]]
    waits = {"smp": (2, 4), "host": hosts, "wfi": ("native", "poll")}
    rows = matrix.configurations(full, policy=[matrix.default()], **waits)
    if full:
        # Each other one in enough of these that no pair is left out.
        rows += [row for row in matrix.configurations(False, policy=policies,
                                                      **waits)
                 if row not in rows]
    cases += [Case(f"no_wake_up_is_lost,{matrix.label(row)}", alone,
                   timeout=1800 if full else 400, row=row, rounds=rounds,
                   limit=1700 if full else 370)
              for row in rows[:None if full else 4]]
    rows = [{"smp": 4, "sstc": True, "host": host, "policy": policy}
            for policy in matrix.sharing_or_default(full)
            for host in (matrix.HOSTS if full else hosts)]
    cases += [Case(f"no_ring_is_lost_where_nobody_else_rings,"
                   f"{matrix.label(row)}", undisturbed, row=row,
                   timeout=1800 if full else 300, rounds=rounds,
                   limit=1700 if full else 250) for row in rows]
    return cases
