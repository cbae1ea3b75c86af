"""The console: the shell's commands, guests' terminals, unattended scripts."""

import json
import re

import matrix
from harness import Case, TOP
from labs import Shell, guest, lab, linux, said, says

ESCAPE = "\x1d"     # Ctrl-], which leaves a guest's console
CTRL_C = "\x03"
RING_BYTES = 64 << 10     # kept of what a guest writes

IDLER = dict(vcpus=2, bootargs="seconds=0")


def start(t, *guests, **options):
    m = t.boot(lab=lab(*guests), mem="512M", **options)
    m.expect("rouse> ", 60)
    return m, Shell(m)


def end(t, m, status=0):
    m.line(f"poweroff {status}")
    t.equal(m.wait(), status, "QEMU's status")


def state(shell, name):
    return shell.guests()[name]["state"]


def one_line(t, shell, command, why):
    lines = shell.run(command)
    t.check(len(lines) == 1 and re.search(why, lines[0]),
            f"{command}: got {lines}, expected one line with {why!r}")


def run_until(m, shell, command, name, pattern):
    """The command's output, once the guest has said that; it may do so before
    the output is at its end."""
    start = m.seen
    lines = shell.run(command)
    m.seen = start
    m.expect(said(name, pattern), 60)
    return lines


def life(t):
    """A guest by hand: each command finds it as the last one left it."""
    m, shell = start(t, guest("g", "tick", autostart=False, **IDLER),
                     guest("other", "tick", **IDLER))
    t.equal(state(shell, "g"), "stopped", "at first")
    one_line(t, shell, "guest stop g", "is stopped; expected a running guest")
    t.equal(run_until(m, shell, "guest start g", "g", "tick: 1 s"), [],
            "guest start")
    t.equal(state(shell, "g"), "running", "started")
    one_line(t, shell, "guest start g", "is running; expected a stopped guest")
    one_line(t, shell, "guest destroy g", "expected a stopped guest")

    shell.run("guest pause g")
    t.equal(state(shell, "g"), "paused", "paused")
    before = shell.running_ns()
    shell.run("sleep 2")
    after = shell.running_ns()
    t.equal(after["g"], before["g"], "time of a paused guest")
    t.check(after["other"] > before["other"], "the other one stood still too")
    run_until(m, shell, "guest resume g", "g", r"tick: \d+ s")

    t.equal(run_until(m, shell, "guest reset g", "g", "tick: 1 s"), [],
            "guest reset")
    now = shell.guests()["g"]
    t.equal((now["boots"], now["last_event"]), (2, "reset"), "after a reset")
    shell.run("guest stop g")
    t.equal(state(shell, "g"), "stopped", "stopped")
    shell.run("guest destroy g")
    t.equal(set(shell.guests()), {"other"}, "guests after destroy")
    one_line(t, shell, "guest start g", "no guest 'g'; there are: other")

    t.equal(run_until(m, shell, "guest create new vcpus=3 memory=16M priority=7 "
                      "kernel=baremetal/tick.elf \"bootargs=seconds=0\" "
                      "autostart=on", "new", "tick: 1 s"), [], "guest create")
    made = shell.guests()["new"]
    t.equal((made["vcpus"], made["priority"], made["memory_bytes"]),
            (3, 7, 16 << 20), "what was made")
    one_line(t, shell, "guest create new memory=16M kernel=baremetal/tick.elf",
             "new")
    end(t, m)


def terminal(t):
    """Attach, type, leave; what was written meanwhile is shown again."""
    m, shell = start(t, linux("debian"))
    m.expect(says("debian", "rouse-guest: up"), 300)
    shell.quiet()
    m.line("console debian")
    m.expect(r"\[rouse: console of debian, running; Ctrl-\] comes back\]")
    m.send("\r")
    m.expect(r"debian:\S*[#$] ", 120)
    # Keys that the shell would take go to the guest, Ctrl-C too.
    m.line("sh -c 'echo begun-$((6*7)); exec sleep 1000'")
    m.expect("begun-42", 60)
    m.send(CTRL_C)
    m.expect(r"debian:\S*[#$] ", 120)
    m.line("(sleep 2; echo late-$((6*7))) &")
    m.expect(r"debian:\S*[#$] ", 120)
    m.send(ESCAPE)
    m.expect(r"\[rouse: left debian\]")
    shell.run("sleep 5")
    t.check("late-42" not in m.text, "a guest that is not watched was shown")
    unseen = shell.guests()["debian"]["console_unseen_bytes"]
    t.check(unseen > 0, "nothing is kept for later")
    m.line("console debian")
    m.expect(r"late-42", 60)
    m.send(ESCAPE)
    m.expect(r"\[rouse: left debian\]")
    # Nothing is shown twice.
    seen = m.text.count("late-42")
    m.line("console debian")
    m.expect(r"\[rouse: console of debian")
    m.send("\r")
    m.expect(r"debian:\S*[#$] ", 120)
    m.send(ESCAPE)
    m.expect(r"\[rouse: left debian\]")
    t.equal(m.text.count("late-42"), seen, "times that a line was shown")
    end(t, m)


def flood(t):
    """A guest that floods its UART hurts only itself."""
    m, shell = start(t, linux("flood", 'run="yes flood"'),
                     guest("tick", "tick", **IDLER), smp=2)
    m.expect(said("flood", "flood"), 300)
    for _ in range(3):
        m.expect_all([said("tick", r"tick: \d+ s"), said("flood", "flood")],
                     120)
    t.equal(state(shell, "flood"), "running", "state")
    shell.quiet()
    before = after = shell.guests()["flood"]
    # Nobody looks, and still it never has to wait: the oldest is lost.
    while after["console_written_bytes"] < (
            before["console_written_bytes"] + RING_BYTES + 4096):
        shell.run("sleep 1")
        after = shell.guests()["flood"]
    t.check(after["console_lost_bytes"] - before["console_lost_bytes"]
            >= 4096, "too little of it was lost")
    t.check(after["console_unseen_bytes"] <= RING_BYTES, "too much is kept")
    end(t, m)


# A command of each type that docs/console.md lists, and the types it gives.
JSON = {
    "guest list": {"guest"},
    "set tick": {"knob"},
    "watch": {"watch"},
    "vcpu list": {"vcpu"},
    "vcpu regs tick:0 tick:1": {"vcpu_regs"},
    "sched list": {"policy"},
    "sched params": {"sched_params"},
    "sched cpus": {"cpu"},
    "top 1 2": {"top_host", "top_guest", "top_vcpu"},
    "stats tick": {"stats"},
    "trace status": {"trace"},
    "mem": {"memory", "guest_memory"},
    "log": {"log"},
    "help": {"command"},
    "guest list nobody": {"error"},
}


def documented():
    """{type: members} of the table in docs/console.md."""
    members = {}
    text = (TOP / "docs" / "console.md").read_text()
    for line in text.split("## JSON", 1)[1].splitlines():
        cells = [c.strip() for c in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`"):
            names = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cells[3]))
            for kind in re.findall(r"`(\w+)`", cells[1]):
                members[kind] = set(names)
    return members


def listings(t):
    """Every listing is JSON as documented, one object a line."""
    m, shell = start(t, guest("tick", "tick", **IDLER),
                     guest("off", "hello", autostart=False))
    m.expect(said("tick", "tick: 1 s"), 60)
    shell.quiet()
    known, bad = documented(), []
    t.check(len(known) >= 10, "docs/console.md has no table of types")
    for command, types in JSON.items():
        objects = shell.json(command)
        found = {o.get("type") for o in objects}
        if found != types:
            bad.append(f"{command} -j: types {found}, expected {types}")
        for o in objects:
            kind, got = o.get("type"), set(o) - {"type"}
            if list(o)[:1] != ["type"]:
                bad.append(f"{command}: 'type' is not first")
            wanted = known.get(kind, {"command", "message"})
            if kind == "top_guest":
                wanted = wanted - {"vcpu"}
            if got != wanted:
                bad.append(f"{command}: a {kind} has {sorted(got ^ wanted)} "
                           "more or less than documented")
    t.check(not bad, "\n".join(sorted(set(bad))))
    for v in shell.json("vcpu list"):
        t.check(all(v[s] >= 0 for s in ("running_ns", "runnable_ns",
                                        "blocked_ns", "offline_ns")), str(v))
    # And every listing for people has lines (the log's look like the log).
    for command in set(JSON) - {"log"}:
        t.check(shell.run(command), f"{command} prints nothing")
    end(t, m)


WRONG = [
    ("strat", "no such command; expected guest, set, console"),
    ("guest", "expected list, start"),
    ("guest strat tick", "no 'strat'; expected list, start, stop"),
    ("guest start", "GUEST"),
    ("guest start nobody", "no guest 'nobody'; there are"),
    ("vcpu pin tick:0", "CPUS"),
    ("vcpu pin tick:0 7", "expected a list as in"),
    ("vcpu pin tick:9 0", "tick"),
    ("vcpu regs tick", "tick"),
    ("set tick weight=0", "weight: 0 is outside 1 to 65535"),
    ("set tick weigth=1", "weigth"),
    ("set tick memory=64M", "memory"),
    ("sched set best", "no policy 'best'; expected"),
    ("console nobody", "no guest 'nobody'"),
    ("top never", "expected"),
    ("log few", "expected a number"),
    ("sleep long", "expected a number such as 2 or 0.25"),
    ("poweroff 70000", "expected 0 to 65535"),
    ("guest create x memory=16M", "kernel"),
    ("guest create x memory=16M kernel=nofile", 'no file "nofile"'),
    ("guest create x memory=100G kernel=baremetal/tick.elf", "memory"),
]


def wrong(t):
    m, shell = start(t, guest("tick", "tick", **IDLER))
    m.expect(said("tick", "tick: 1 s"), 60)
    shell.quiet()
    before = shell.guests()
    for command, why in WRONG:
        one_line(t, shell, command, why)
    m.line('set tick "weight=3')
    m.expect(r'^rouse: a quote is not closed; expected another "\n', 30)
    after = shell.guests()
    t.equal(set(after), set(before), "guests")
    for knob in ("weight", "memory_bytes", "state", "boots"):
        t.equal(after["tick"][knob], before["tick"][knob], knob)
    end(t, m)


def placing(t):
    """vCPUs run where they are told to, from now on."""
    m, shell = start(t, guest("tick", "tick", vcpus=4, bootargs="seconds=0"),
                     smp=4)
    m.expect(said("tick", "tick: 1 s"), 60)
    shell.quiet()
    for turn in range(8):
        for n in range(4):
            shell.run(f"vcpu pin tick:{n} {(n + turn) % 4}")
        shell.run("sleep 1")
        where = {n: v["cpu"] for (_, n), v in shell.vcpus().items()}
        t.equal(where, {n: (n + turn) % 4 for n in range(4)}, "CPUs")
    before = shell.vcpus()
    shell.run("set tick affinity=1-2; sleep 2")
    after = shell.vcpus()
    for key, v in after.items():
        t.check(v["cpu"] in (1, 2) and v["affinity"] == "1-2", f"{key}: {v}")
        t.check(v["wakes"] > before[key]["wakes"], f"{key} runs no more")
    shell.run("vcpu pin tick:0 none; set tick affinity=all")
    t.equal({v["affinity"] for v in shell.vcpus().values()}, {"all"},
            "affinity in the end")
    lines = shell.run("vcpu regs tick:0")
    t.check(any(re.search(r"\bpc 00000000802", l) for l in lines),
            f"registers: {lines}")
    end(t, m)


def knobs(t):
    """What the policy does not look at is kept, and said."""
    m, shell = start(t, guest("tick", "tick", **IDLER))
    shell.quiet()
    for n, policy in enumerate(matrix.policies()):
        shell.run(f"sched set {policy}")
        for knob, value in (("weight", 300 + n), ("priority", 200 + n),
                            ("cap", 50 + n)):
            command = f"set tick {knob}={value}"
            if policy in matrix.looking_at(knob):
                t.equal(shell.run(command), [], "answer")
            else:
                one_line(t, shell, command, f"{knob}={value} is kept; the "
                         f"scheduler {policy} does not look at it")
        got = shell.json("sched params")[0]
        t.equal((got["policy"], got["weight"], got["cap_percent"],
                 got["priority"]), (policy, 300 + n, 50 + n, 200 + n),
                "parameters")
        t.equal({k for k in ("weight", "priority", "cap") if k in got["used"]},
                {k for k in ("weight", "priority", "cap")
                 if policy in matrix.looking_at(k)}, "used")
    end(t, m)


def top(t):
    """It is refreshed in place until q, and the shell is back after it."""
    m, shell = start(t, guest("spin", "spin", vcpus=2))
    m.expect(said("spin", "spin: 1 s"), 60)
    shell.quiet()
    m.line("top 1")
    for _ in range(3):
        m.expect(r"^ +:0 +\d", 30)
    m.send("q")
    m.expect(r"rouse> ", 30)
    t.equal(state(shell, "spin"), "running", "state")
    # A terminal that is entered next has its keys, the one to leave with too.
    m.line("console spin")
    m.expect(r"\[rouse: console of spin")
    m.send("x" + ESCAPE)
    m.expect(r"\[rouse: left spin\]", 30)
    end(t, m)


def editing(t):
    m, shell = start(t, guest("alpha", "tick", autostart=False))
    # Tab completes, an arrow brings the last command back, Ctrl-C gives up.
    m.send("gue\tli\talp\t\r")
    m.expect(r"guest list alpha \n", 30)
    m.expect(r"alpha +stopped", 30)
    m.send("\x1b[A\r")
    m.expect(r"alpha +stopped", 30)
    m.send("guest destroy alpha" + CTRL_C)
    m.send("guest lisst alpha\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x08\r")
    m.expect(r"alpha +stopped", 30)
    m.line("sleep 1000")
    m.send(CTRL_C)
    t.equal(state(shell, "alpha"), "stopped", "state")
    end(t, m)


def keys(t):
    """No key is lost, whether Rouse sleeps or works when it comes."""
    m, shell = start(t, guest("tick", "tick", vcpus=2,
                              bootargs="hz=7 seconds=0"), smp=t.args["smp"])
    m.expect(said("tick", "tick: 1 s"), 60)
    shell.quiet()
    for n in range(t.args["times"]):
        t.equal(len(shell.json("sched cpus")), t.args["smp"], "CPUs")
        if n % 7 == 0:
            shell.run("sleep 1" if n % 49 == 0 else "log 3")
    end(t, m)


def unattended(t):
    """The lab's list comes first, then the command line's, and one that fails
    stops nothing."""
    boot = ["guest list -j", "nonsense", "guest start g; guest wait g",
            "sched list -j"]
    m = t.boot(lab=lab(guest("g", "hello", autostart=False), boot=boot),
               append='cmd="guest list -j; poweroff 7"', mem="256M")
    t.equal(m.wait(), 7, "QEMU's status")
    objects = [json.loads(line) for line in
               re.findall(r'^\{"type".*\}$', m.text, re.M)]
    states = [o["state"] for o in objects if o["type"] == "guest"]
    t.equal([o["type"] for o in objects][0], "guest", "what came first")
    t.equal(len(states), 2, "listings of the guest")
    t.equal((objects[-1]["boots"], objects[-1]["last_event"]),
            (1, "poweroff"), "the guest at last")
    t.check(re.search(r"^nonsense: no such command", m.text, re.M),
            "the wrong command was not answered")


def panic(t):
    """Registers, where it was called from by name, and every CPU."""
    m, shell = start(t, guest("spin", "spin", vcpus=2), smp=2, allow="panic")
    m.expect(said("spin", "spin: 1 s"), 60)
    m.line("panic")
    m.expect(r"^panic on CPU \d+:\n", 30)
    m.expect(r"^registers:\n", 30)
    m.expect(r"^called from:\n", 30)
    m.expect(r"^  +[0-9a-f]{16} panic_step\+", 30)
    m.expect(r"^  +[0-9a-f]{16} sched_loop", 30)
    m.expect(r"^CPUs:\n", 30)
    m.expect(r"^  CPU 0: in ", 30)
    m.expect(r"^  CPU 1: in ", 30)
    t.check(m.wait() != 0, "the status is 0")


def tests(full):
    cases = [Case(name, run, timeout=600) for name, run in (
        ("a_guest_is_started_paused_reset_destroyed_and_made", life),
        ("a_guest's_terminal_is_entered_left_and_replayed", terminal),
        ("a_guest_that_floods_hurts_only_itself", flood),
        ("every_listing_is_json_as_documented", listings),
        ("wrong_commands_are_answered_in_one_line", wrong),
        ("vcpus_run_where_they_are_told_to", placing),
        ("knobs_are_kept_whatever_the_policy", knobs),
        ("top_is_refreshed_until_q", top),
        ("a_line_is_edited_completed_and_recalled", editing),
        ("commands_run_unattended", unattended),
        ("a_panic_tells_all", panic),
    )]
    return cases + [Case(f"no_key_is_lost,{smp}_harts", keys, timeout=1800,
                         smp=smp, times=3000 if full else 100)
                    for smp in ((1, 2, 4) if full else (2,))]
