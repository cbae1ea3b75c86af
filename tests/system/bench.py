"""The benchmarks themselves: every question can be asked and answers in the
common shape, and a scheduler that is written as the documents say is tested and
measured by all of it.

Nothing here judges a figure that depends on time; the short runs of
`bench/run --quick` are enough to see that each question works.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import matrix
from harness import BUILD, SLOW, Case, Skip, TOP

DOCUMENT = TOP / "docs" / "scheduler-in-an-afternoon.md"

# What tools/setup fetches, and guests that are slow to make: shared.
SHARED = ("apt", "ck", "ck-host", "debs", "herd", "libfdt", "opensbi", "zlib",
          "setup.stamp", "setup-bench.stamp", "guests/linux",
          "guests/packages", "guests/uboot")
# What is compiled already: copied, so that only what is new is compiled.
COMPILED = ("obj", "gen", "flags", "host", "guests/baremetal", "sim/obj")


def run(t, command, folder, status=0, limit=900, **environment):
    """Runs a program to its end; returns what it printed."""
    # The make that runs the tests is none of this one's business.
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(command, cwd=folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**env, **environment},
                          timeout=limit * SLOW)
    text = " ".join(map(str, command))
    (t.folder / "output.log").open("a").write(f"$ {text}\n{done.stdout}\n")
    t.equal(done.returncode, status, f"status of {text}\n"
            + "\n".join(done.stdout.splitlines()[-12:]) + "\n")
    return done.stdout


def read(folder):
    """Results as bench/results.py reads them: it refuses any other shape."""
    import sys
    sys.path.append(str(TOP / "bench"))
    import results
    return results, results.read_all(folder)


# Those that have Linux in a guest.
LINUX = ("cyclictest", "hackbench", "consolidation", "meter_linux")


def questions():
    return sorted(p.stem for p in (TOP / "bench" / "questions").glob("*.py"))


def ask(t):
    """Each question of a group, in a short run."""
    folder = t.folder / "results"
    policy = t.args["policy"]
    run(t, [TOP / "bench" / "run", "--quick", "--policy", policy,
            *t.args["ask"]], TOP, ROUSE_BENCH_RESULTS=str(folder))
    results, found = read(folder)
    t.equal(sorted(found), sorted(t.args["ask"]), "results")
    for name, result in found.items():
        rows = results.as_dicts(result)
        # Where no row has outliers there is nothing to explain.
        t.check(rows or name == "meter_outliers", f"{name} has no rows")
        for row in rows:
            t.equal(row.get("policy", policy), policy,
                    f"the policy in a row of {name}")
        t.check(result["plots"] or name == "meter",
                f"{name} has nothing to draw")
        for key in ("commit", "qemu", "opensbi", "machine", "harts", "seed"):
            t.check(key in result["conditions"], f"{name}: no {key}")
        t.equal("linux-image 6." in result["conditions"]["guests"],
                name in LINUX, f"{name} has the version of its Linux")
        lines = (folder / f"{name}.tsv").read_text().splitlines()
        table = [line for line in lines if not line.startswith("#")]
        t.equal(len(table), 1 + len(rows), f"lines of {name}.tsv")
        t.equal({len(line.split("\t")) for line in table},
                {len(result["columns"])}, f"fields of {name}.tsv")


def repeat(t):
    """A seed gives the same figures again, to the last digit."""
    rows = []
    for again in ("first", "second"):
        folder = t.folder / again
        run(t, [TOP / "bench" / "run", "--quick", "--policy",
                t.args["policy"], *t.args["ask"]], TOP,
            ROUSE_BENCH_RESULTS=str(folder))
        rows.append({n: r["rows"] for n, r in read(folder)[1].items()})
    t.equal(rows[0], rows[1], "rows of two runs")


def refusals(t):
    for words, wanted in ((["nonsense"], "no question nonsense; there are "),
                          (["--policy", "none", "fairness"],
                           "no policy none; there are ")):
        said = run(t, [TOP / "bench" / "run", "--quick", *words], TOP, 2,
                   ROUSE_BENCH_RESULTS=str(t.folder / "results"))
        t.check(f"bench: {wanted}" in said, f"{words}: {said}")


def in_part(t):
    """A result of all rows stays when some are asked."""
    folder = t.folder / "results"
    folder.mkdir()
    names = {"meter": [], "meter_outliers": ["--explain"],
             "meter_native": ["--native"]}
    for name, words in names.items():
        (folder / f"{name}.json").write_text("whole")
        run(t, [TOP / "bench" / "meter.py", *words, "--machine", "aclint",
                "--rows", "ipi_self", "--rounds", "200"], TOP,
            ROUSE_BENCH_RESULTS=str(folder))
    for name in names:
        t.check((folder / f"{name}.json").read_text() == "whole",
                f"{name} was replaced")
        t.equal(len(read(folder / f"{name}_part.json")[1]), 1, "results")


def foreign(t):
    """Another hypervisor is whatever image starts the payload by itself: this
    one, which the meter is told nothing of but its symbols."""
    rows = "sbi_base,plic_load,ipi_asleep"
    source = (TOP / "guests" / "labs" / "meter.dts").read_text().replace(
        'bootargs = "', f'bootargs = "rounds=30 rows={rows} ')
    (t.folder / "lab.dts").write_text(source)
    run(t, [TOP / "tools" / "lab", t.folder / "lab.dts",
            t.folder / "lab.cpio"], TOP)
    run(t, [TOP / "bench" / "meter.py", "--machine", "aclint",
            "--kernel", BUILD / "rouse.bin", "--initrd", t.folder / "lab.cpio",
            "--hypervisor", BUILD / "rouse.elf", "--append", "watchdog=off"],
        TOP, ROUSE_BENCH_RESULTS=str(t.folder))
    results, found = read(t.folder)
    found = {row["row"]: row for row in results.as_dicts(
        found["meter_foreign"])}
    t.equal(sorted(found), sorted(rows.split(",")), "rows")
    from meter import guard
    for name, row in found.items():
        t.equal(row["stage_elsewhere"], 0, f"{name}: what has no stage")
        t.check(row["stage_trap"] > 0, f"{name}: no instruction in traps")
        if name in guard.accepted():
            t.check(row["median"] <= guard.accepted()[name][1] *
                    guard.allowed(), f"{name} takes {row['median']}")


def switch_cost(t):
    """What the simulator takes for a turn that ends by the timer, under the
    policy that is usual, which its costs are of."""
    run(t, [TOP / "bench" / "run", "--quick", "--policy", t.args["policy"],
            "switch"], TOP, ROUSE_BENCH_RESULTS=str(t.folder))
    results, found = read(t.folder)
    from meter import guard
    costs = guard.simulated("exit + step + save + timer + load + enter")
    takes = results.as_dicts(found["switch"])[0]["cost"]
    t.check(abs(costs - takes) <= 0.05 * takes, f"a switch takes {takes:.0f} "
            f"instructions, by bench/sim/costs {costs}")


# --- runs that don't come to their end --------------------------------------

# Questions to nobody: each answer is a line in a file, so that one sees what
# was asked, and how often.
ASKED = """
import time
from pathlib import Path
from bench import key, value

TITLE, QUESTION = "made up", "What?"
COLUMNS = [key("case", "case"), value("answer", "", "answer")]
HERE = Path(__file__).parent


def cases(b):
    return [{{"case": n}} for n in range(3)]


def measure(b, case):
    {before}
    with open(HERE / "asked", "a") as out:
        out.write(f"{name} {{case}}\\n")
    return [[case, 10 * case]]


def plots(done):
    return []
"""


def made_up(t, **before):
    """A folder of questions, each with what its machines do first."""
    folder = t.folder / "questions"
    folder.mkdir(exist_ok=True)
    for name, text in before.items():
        (folder / f"{name}.py").write_text(ASKED.format(name=name,
                                                        before=text))
    return {"ROUSE_BENCH_QUESTIONS": str(folder), "JOBS": "1",
            "ROUSE_BENCH_RESULTS": str(t.folder / "bench" / "results")}


def asked(t):
    path = t.folder / "questions" / "asked"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(lines)


ALL = [f"{name} {case}" for name in ("good", "weak") for case in range(3)]


def failing(t):
    """One question fails in part, another one altogether."""
    mended = t.folder / "mended"
    where = made_up(t, good="pass", weak=f"assert case != 1 or "
                    f"Path({str(mended)!r}).exists(), 'broken'", worst="pass")
    worst = t.folder / "questions" / "worst.py"
    worst.write_text("raise RuntimeError('worst')\n")
    said = run(t, [TOP / "bench" / "run"], TOP, 1, **where)
    t.equal(asked(t), [a for a in ALL if a != "weak 1"], "answers")
    for wanted in ("failed: weak: case 1", "failed: worst", "broken"):
        t.check(wanted in said, f"no word of {wanted!r}: {said}")
    _, found = read(t.folder / "bench" / "results")
    t.equal({n: r["rows"] for n, r in found.items()},
            {"good": [[0, 0], [1, 10], [2, 20]], "weak": [[0, 0], [2, 20]]},
            "rows")
    t.equal(found["weak"]["conditions"].get("missing"), "1 of 3 machines",
            "what is said of the missing row")
    # The next run asks what is left, and the one behind it all again.
    mended.touch()
    worst.unlink()
    run(t, [TOP / "bench" / "run"], TOP, **where)
    t.equal(asked(t), ["weak 1"], "what is asked after a failure")
    t.equal(len(read(t.folder / "bench" / "results")[1]["weak"]["rows"]), 3,
            "rows")
    run(t, [TOP / "bench" / "run"], TOP, **where)
    t.equal(asked(t), ALL, "what is asked after all went well")


def interrupted(t):
    """A signal ends it; what was answered is not asked again."""
    where = made_up(t, good="time.sleep(0.3 if case else 0)",
                    weak="time.sleep(0.3)")
    process = subprocess.Popen(
        [TOP / "bench" / "run"], cwd=TOP, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, **where},
        # A shell's background job ignores it, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    first = ""
    while not first.startswith("ok"):
        first = process.stdout.readline()
        t.check(first, "it ended before its first answer")
    process.send_signal(t.args["by"])
    rest = process.communicate()[0]
    t.check(process.returncode == 1 and "the next run goes on" in rest,
            f"status {process.returncode}: {rest}")
    before = asked(t)
    t.check(0 < len(before) < len(ALL), f"asked before the end: {before}")
    said = run(t, [TOP / "bench" / "run"], TOP, **where)
    t.check("of an earlier run are kept" in said, said)
    t.equal(sorted(before + asked(t)), ALL, "all that was asked")
    t.equal(len(read(t.folder / "bench" / "results")[1]), 2, "results")


# --- the document -----------------------------------------------------------


def example():
    """(policy, source) that the document shows."""
    text = DOCUMENT.read_text()
    found = re.search(r"^## The whole file\n\n`kernel/sched/(\w+)\.c`:\n\n"
                      r"((?:(?:    .*)?\n)+)", text, re.M)
    lines = [line[4:] for line in found[2].split("\n")]
    return found[1], "\n".join(lines).rstrip("\n") + "\n"


def grow(t):
    """A copy of the tree, to which the document's first step is done: one file
    more, one word more in its Makefile. Returns (its folder, the file)."""
    tree = TOP / "build" / "afternoon"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(TOP, tree, symlinks=True, ignore=lambda folder, names: [
        n for n in names if n.startswith(".git") or n == "__pycache__"
        or (folder == str(TOP) and n == "build")])
    (tree / "build" / "guests").mkdir(parents=True)
    for name in SHARED:
        if (TOP / "build" / name).exists():
            (tree / "build" / name).symlink_to(TOP / "build" / name)
    for name in COMPILED:
        if (TOP / "build" / name).exists():
            shutil.copytree(TOP / "build" / name, tree / "build" / name)
    step = re.search(r"^## 1\. .*?^## ", DOCUMENT.read_text(), re.M | re.S)[0]
    command, old, new = re.search(
        r"^    (cp kernel/sched/(\w+)\.c kernel/sched/(\w+)\.c)$", step,
        re.M).groups()
    t.check(f"`{old}` becomes `{new}` everywhere" in step, "the step's words")
    run(t, command.split(), tree)
    path = tree / "kernel" / "sched" / f"{new}.c"
    run(t, ["sed", "-i", f"s/{old}/{new}/g", path], tree)
    makefile = tree / "Makefile"
    text, n = re.subn(r"^(POLICIES *:?=.*)$", rf"\1 {new}",
                      makefile.read_text(), flags=re.M)
    t.equal(n, 1, "lines in the Makefile that list the policies")
    line = re.search(r"^POLICIES.*$", text, re.M)[0]
    t.check(f"\n    {line}\n" in step, f"the document's line is not {line!r}")
    makefile.write_text(text)
    return tree, path


# Of what there is one of for all files, and the policies' own.
CHECKS = [word for test in ("unit policy", *(f"check {name}" for name in (
    "layers", "documents", "names", "columns", "registered")))
    for word in ("-k", test)]
UNIT = "build/host/tests/unit/policy_test"
SIM = ["build/sim/rouse-sim", "build/sim/rouse-props"]


def built(t, tree, policy):
    """The tree is made, and has the policy in all that it is for."""
    run(t, ["make", "JOBS=2", "SETUP=0", "all", "guests-baremetal", UNIT, *SIM],
        tree)
    said = run(t, ["tests/run", "--quick", *CHECKS], tree)
    t.check(re.search(r"^\d+ passed, 0 failed", said, re.M), said)
    symbols = run(t, ["nm", UNIT], tree)
    t.check(f" {policy}_ops" in symbols, f"{UNIT} has no {policy}")


def afternoon(t):
    """What the document shows is built, tested and measured by adding a file
    and a word; as the copy that it begins with, and as it is in the end."""
    policy, source = example()
    t.check(policy not in matrix.policies(), f"{policy} is there already")
    tree, path = grow(t)
    t.equal(path.stem, policy, "the copy's name")
    built(t, tree, policy)
    path.write_text(source)
    built(t, tree, policy)
    if t.args["all"]:
        said = run(t, ["make", "JOBS=2", "SETUP=0", "check-host"], tree,
                   limit=3600)
        t.check(f"{policy}_keeps_its_promises" in said, f"no {policy}: {said}")
    words = [word for test in t.args["system"]
             for word in ("-k", f"{test},{policy}")]
    said = run(t, ["tests/run", "--quick", *words], tree)
    for test in t.args["system"]:
        t.check(re.search(rf"^ok +system \w+: {test},{policy}", said, re.M),
                f"no word of {test}: {said}")
    folder = t.folder / "results"
    run(t, ["bench/run", "--quick", "--policy", policy, *t.args["ask"]], tree,
        ROUSE_BENCH_RESULTS=str(folder))
    results, found = read(folder)
    for question in t.args["ask"]:
        rows = results.as_dicts(found[question])
        t.check(rows and all(row["policy"] == policy for row in rows),
                f"rows of {question}: {rows}")
    simulated(t, tree, policy)
    shrunk(t, tree, policy, source)
    missing = [why for step in (swept, reported)
               if (why := step(t, tree, policy, folder))]
    shutil.rmtree(tree)
    if missing:
        raise Skip(f"all is well but what needs {' and '.join(missing)}; "
                   "tools/setup bench installs it")


def swept(t, tree, policy, _):
    """A sweep has a row of it among the others'. Returns what it would need."""
    if not shutil.which("snakemake"):
        return "snakemake"
    folder = t.folder / "sweep"
    run(t, ["bench/sweep/sweep", "--config", "guests=[4]", "load_percent=[90]",
            "seeds=[1]", "seconds=1", f"results={folder}"], tree, JOBS="2",
        ROUSE_SWEEP=str(folder))
    rows = json.loads((folder / "sweep.json").read_text())["rows"]
    t.equal(sorted(row[0] for row in rows),
            sorted([*matrix.policies(), policy]), "policies in the sweep")
    return None


def simulated(t, tree, policy):
    """The simulator has it, and asks it for what all policies promise."""
    said = run(t, [SIM[0], "--policy", policy, "bench/sim/scenarios/shares.sim"],
               tree)
    t.check(f"{policy} on 1 CPUs: 11.000 s simulated" in said, said)
    said = run(t, [SIM[1], "--steps", "20000"], tree)
    t.check(re.search(rf"^ok \d+ - {policy}_keeps_its_promises", said, re.M),
            f"no promise of {policy}: {said}")


def shrunk(t, tree, policy, source):
    """A policy that sometimes doesn't see who waits is found out, by a case that
    has been made small, is printed with its seed, and fails again."""
    path = tree / "kernel" / "sched" / f"{policy}.c"
    faulty = source.replace("\tif (!l)\n", "\tif (!l || now % 2 == 0)\n")
    t.check(faulty != source, "the document's pick() has changed")
    path.write_text(faulty)
    props = SIM[1]
    run(t, ["make", "JOBS=2", "SETUP=0", props], tree)
    said = run(t, [props, "--steps", "2000"], tree, 1)
    found = re.search(rf"^not ok \d+ - {policy}_keeps_its_promises\n"
                      r"# seed (\d+): .*\n# made smaller:\n# .*\n"
                      r"((?:# (?:case|after) .*\n)+)", said, re.M)
    t.check(found, f"no case of {policy}: {said}")
    case = re.sub("^# ", "", found[2], flags=re.M)
    t.check(f"policy {policy} " in case and f"seed {found[1]}\n" in case, case)
    t.check(case.count("\n") <= 10 and " guests 1 " in case,
            f"it is not small: {case}")
    (t.folder / "failed.case").write_text(case)
    run(t, [props, "--case", t.folder / "failed.case"], tree, 1)
    said = run(t, [props, "--steps", "2000", "--misses", "1000"], tree, 1)
    t.check(f"seed {found[1]}: " in said, f"it is forgiven: {said}")
    path.write_text(source)


def reported(t, tree, policy, folder):
    """Its results are in the report, in a colour of its own. Returns what it
    would need."""
    if not Path("/usr/lib/python3/dist-packages/matplotlib").exists():
        return "matplotlib"
    page = t.folder / "report.html"
    run(t, ["/usr/bin/python3", "bench/report.py", folder, page], tree)
    text = page.read_text()
    t.check(f"</i>{policy}</li>" in text, f"{policy} is not in the key")
    t.check(f"<td>{policy}</td>" in text, f"{policy} is in no table")
    return None


def tests(full):
    # The one that looks at most knobs can be asked most.
    policy = matrix.policies()[-1]
    linux = [q for q in questions()
             if "linux" in (TOP / "bench" / "questions" / f"{q}.py")
             .read_text()]
    plain = [q for q in questions() if q not in linux]
    system = ["turns_are_as_long_as_slices", "nobody_is_passed_over"]
    ask_it = ["latency", "thief"]
    if full:
        ask_it += ["fairness", "slices", "switch"]
        system += ["equal_slices_share_equally_whatever_the_weight",
                   "affinity_and_pins_move_a_vcpu",
                   "guests_that_wait_1_harts_leave_cpus_to_hogs"]
    cases = [
        Case("every_question_has_an_answer_in_the_common_shape", ask,
             timeout=600, policy=policy, ask=plain),
        Case("a_seed_gives_the_same_figures_again", repeat, timeout=400,
             policy=policy, ask=["thief", "switch"]),
        Case("what_there_is_not_is_named", refusals),
        Case("what_some_rows_give_replaces_no_result_of_all", in_part),
        Case("another_hypervisor_is_measured_by_its_image_and_its_symbols",
             foreign),
        Case("a_switch_takes_what_the_simulator_says", switch_cost,
             policy=matrix.default()),
        Case("a_question_that_fails_stops_no_other_and_is_asked_again",
             failing),
        Case("a_run_that_is_interrupted_is_gone_on_with", interrupted,
             by=signal.SIGINT),
        Case("a_run_that_is_killed_is_gone_on_with", interrupted,
             by=signal.SIGTERM),
        Case("the_scheduler_of_an_afternoon_is_tested_and_measured",
             afternoon, timeout=5400 if full else 900, system=system,
             ask=ask_it, all=full),
    ]
    cases.append(Case("every_question_to_linux_has_an_answer", ask,
                      timeout=900, policy=policy, ask=linux))
    return cases
