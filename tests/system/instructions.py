"""The meter, and the instructions that operations take on one hart.

Counts, never times: with one hart and -icount they depend on nothing but the
code. What was accepted is in bench/meter/accepted.tsv; a figure that grows is
either a mistake or a decision, and then `make meter-accept` writes it down.
"""

import re
import sys

import matrix
from harness import HANGS_S, TOP, Case

sys.path.insert(0, str(TOP / "bench"))
from meter import (  # noqa: E402
    by_policy, explain, guard, linux, operations, scaling, trace_cost)
from meter.images import MeterError, Stages  # noqa: E402
from meter.machine import GUEST, MACHINES, Run, rows  # noqa: E402

# What the guest's count.c has between its markers; the trap's handler as well.
KNOWN = {"count_line": 100, "count_loop": 3000, "count_trap": 14}
# A document's figure may be so far from what is counted.
AS_SAID = 0.02
QUICK = ("sbi_base", "set_timer", "ipi_self")


def tests(full):
    return [Case("no_operation_takes_more_than_accepted", accepted,
                 timeout=240),
            Case("a_first_touch_takes_no_more_with_a_few_more_frames_taken",
                 touched, timeout=240),
            Case("no_function_without_a_stage_is_a_third_of_an_operation",
                 sorted_out, timeout=HANGS_S),
            *[Case(f"no_target_is_missed,{key}", targets, key=key,
                   timeout=HANGS_S) for key in MACHINES],
            *[Case(f"the_document_says_what_they_take,{policy}", by_each_policy,
                   policy=policy, timeout=HANGS_S)
              for policy in documented() if policy in matrix.policies()],
            *[Case("linux_comes_to_its_init_in_1_05_times_its_own_time",
                   to_init, timeout=3 * HANGS_S) for _ in range(full)],
            Case("no_trace_record_takes_more_than_40_instructions", traced,
                 timeout=240),
            Case("without_the_quick_path_calls_take_more_but_not_much", slow,
                 timeout=120),
            *[Case(f"wakes_and_picks_hardly_grow_with_the_vcpus,{policy}",
                   growth, policy=policy, timeout=1200 if full else HANGS_S,
                   sizes=scaling.SIZES if full else
                   (2, 4, 8, 16, 128, 256, 512))
              for policy in matrix.sharing()],
            *[Case(f"rows_without_room_are_left_out_with_the_reason,{policy}",
                   without_room, policy=policy, timeout=120)
              for policy in matrix.policies() if matrix.rooms(policy, 1) == 1],
            Case("a_rounds_trace_has_what_its_operation_records", explained),
            Case("code_of_known_length_counts_exactly_that", known),
            Case("markers_in_a_wrong_order_are_told", broken)]


def accepted(t):
    limits = guard.accepted()
    found, times = guard.measure(), guard.allowed()
    worse = guard.complaints(found, limits, times)
    t.check(not worse, "\n".join(worse) + "\nif that is meant: make "
            "meter-accept, and say why in the commit")
    if times > 1:
        print(f"      accepted were another compiler's, so {times} times as "
              f"many will do")
        return
    for name, (was, now) in guard.better(found, limits).items():
        print(f"      {name} takes {now} instructions, {was} are accepted: "
              f"make meter-accept keeps it")


def touched(t):
    limits, times = guard.accepted(), guard.allowed()
    for frames in (1, 2):
        found = guard.first_touch(frames)
        t.equal(sorted(found), ["fault_2m", "fault_4k"], "rows")
        worse = guard.complaints(found, {row: limits[row] for row in found},
                                 times)
        t.check(not worse, f"{frames} more: " + "; ".join(worse))


def sorted_out(t):
    found = guard.unsorted(Stages())
    t.check({"fault_2m", "switch_integer", "timer_asleep"} <= set(found),
            f"rows: {sorted(found)}")
    for row, (share, symbol) in found.items():
        t.check(share < 1 / 3, f"{symbol} is {100 * share:.0f} % of {row}, and "
                f"bench/meter/stages.txt has it nowhere")


def targets(t):
    """The table's, harts that wake one another among them. What only one hart
    does is the same on all machines, so one of them does what needs a machine of
    its own."""
    key = t.args["key"]
    aims = {row.name: row.target(key == "virt")[0] for row in rows()
            if row.target(False)[0] and row.asked == "table" and
            (key == "virt" or row.name not in operations.apart_rows())}
    t.check({"ipi_asleep", "plic_asleep", "sbi_base"} <= set(aims),
            f"rows with a target: {sorted(aims)}")
    found, missing = operations.measure(
        operations.options(rows=",".join(aims), rounds=100,
                           prefix="test-targets-"), key)
    for name, aim in aims.items():
        t.check(name in found, f"{name} was not measured: {missing.get(name)}")
        t.check(found[name].median <= aim,
                f"{name} takes {found[name].median} instructions, target {aim}")
    # The simulator has this machine's doorbell; 35 are the guest's handler.
    if key == "aclint":
        takes = found["ipi_asleep"].median - 35
        costs = guard.simulated("ipi + ring + wake + load + timer + enter")
        t.check(abs(costs - takes) <= 0.05 * takes, f"ipi_asleep takes {takes} "
                f"without its handler, by bench/sim/costs {costs}")


def documented():
    """{policy: {row: instructions}} of docs/sim.md's table."""
    text = (TOP / "docs" / "sim.md").read_text()
    head, rule, *lines = re.search(r"^\| policy \| `timer.*\n(?:\|.*\n)+", text,
                                   re.M)[0].splitlines()
    names = re.findall(r"`(\w+)`", head)
    cells = [[c.strip(" `") for c in line.split("|")[1:-1]] for line in lines]
    return {policy: {name: int(n) for name, n in zip(names, counts) if n}
            for policy, *counts in cells}


def by_each_policy(t):
    policy, due = t.args["policy"], documented()[t.args["policy"]]
    found = by_policy.measure(policy, 20, by_policy.ROWS[:3])
    t.equal(sorted(found), sorted(due), "rows with room")
    for name, f in found.items():
        t.check(abs(f.median - due[name]) <= (AS_SAID + guard.allowed() - 1)
                * due[name], f"{name} takes {f.median} instructions under "
                f"{policy}, docs/sim.md says {due[name]}")


def to_init(t):
    initrd, offsets = linux.initramfs(), linux.before()
    native, inside, alike = linux.medians(
        linux.one("virt", "", seed, initrd, offsets) for seed in linux.SEEDS)
    for who, ticks in (("", native), (", with a guest's devices", alike)):
        t.check(inside <= linux.TARGET * ticks, f"{inside / 1e7:.4f} s as a "
                f"guest, {ticks / 1e7:.4f} s without{who}: "
                f"{inside / ticks:.3f} times")
    # The kernel was given that tree, and had less to look at.
    t.check(alike < native, f"{alike} ticks with a guest's devices alone, "
            f"{native} with all")


def traced(t):
    found = trace_cost.measure()
    t.check(len(found) > 40, f"only {len(found)} records have a figure")
    worse = list(trace_cost.complaints(found))
    t.check(not worse, "\n".join(worse))


def slow(t):
    quick = guard.accepted()
    found = guard.alone("quick=off", QUICK, "guard-slow")
    for name in QUICK:
        now = found[name].median
        usual = quick[name][0]
        t.check(usual < now < usual + 400,
                f"{name} takes {now} instructions without the quick path, "
                f"{usual} with it")


def growth(t):
    policy = t.args["policy"]
    # Weights are kept by an order of virtual times.
    order = policy in matrix.looking_at("weight")
    lines = scaling.lines_of({(policy, n): scaling.measure(policy, n)
                              for n in t.args["sizes"]})
    t.equal(sorted({line[2] for line in lines}), ["pick", "wake"], "rows")
    for row in ("pick", "wake"):
        wrong = scaling.grows(row, {m[1]: m[4] for m in lines if m[2] == row},
                              order)
        t.check(not wrong, wrong)


def without_room(t):
    policy = t.args["policy"]
    opt = operations.options(rows="sbi_base,ipi_near,other_fp,ipi_asleep",
                             rounds=10, append=f"sched={policy}",
                             prefix=f"test-room-{policy}-")
    found, missing = operations.measure(opt, "virt")
    t.equal(sorted(found), ["ipi_asleep", "sbi_base"], "rows with room")
    why = f"policy {policy} has no CPU left for it"
    t.equal(missing.get("ipi_near"), f"hart 3 does not start: {why}",
            "of a hart's row")
    t.equal(missing.get("other_fp"), why, "of a guest's row")


def explained(t):
    """On several harts, whenever the host runs them; and with -icount, where the
    machine's clock is another one than the host's."""
    for part, row, rounds, record in (("main", "sbi_base", 20, "EXIT 0xa"),
                                      ("fault", "fault_4k", 4, "PAGE_FAULT")):
        found = explain.told(operations.options(
            rows=row, rounds=rounds, prefix="test-explain-"), "virt", part,
            [row])[row]
        t.equal([[key for _, key in story].count(record)
                 for story in found.stories], [1] * rounds,
                f"{record} in each round of {row}")


def known(t):
    run = Run("test-count", harts=2).guest(GUEST.with_suffix(".elf"))
    rounds, _ = run.native("role=count rounds=500").rounds()
    for name, count in KNOWN.items():
        done = rounds.done.get(name, [])
        t.equal(len(done), 500, f"rounds of {name}")
        t.equal({sum(r) for r in done}, {count}, f"instructions of {name}")


def broken(t):
    run = Run("test-broken", harts=1).guest(GUEST.with_suffix(".elf"))
    try:
        run.native("role=broken").rounds()
    except MeterError as error:
        t.check("count_broken" in str(error) and "\"end\"" in str(error) and
                "no marker \"begin\"" in str(error), f"it says: {error}")
        return
    t.check(False, "an end without a begin was taken for a round")
