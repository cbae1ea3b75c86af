"""The operations of rows.tsv on one kind of host: which machines run for them.

No machine does all rows. What they need of it comes in *parts*, a machine
each: `main` has two harts and most of the rows, the others are named after
what they do.
"""

from types import SimpleNamespace

from . import guard, touch
from .figures import Figures
from .machine import GUEST, MACHINES, TOP, NoRoom, Run, rows

LABS = TOP / "guests" / "labs"
ELF = GUEST.with_suffix(".elf")
OTHER = ("other_integer", "other_fp", "other_vector")
# Parts that do not all that there is, and their rows.
APART = {"queued": ("ipi_queued", "plic_queued"),
         **{name: (name,) for name in OTHER},
         "fault": ("fault_4k", "fault_2m")}
PARTS = ("main", *APART)


def options(**more):
    """What can be wanted, and what is if nothing is said."""
    return SimpleNamespace(**{
        "rows": "", "rounds": 1000, "sleep_us": 5000, "append": "",
        "by": "stage", "native": False, "kernel": None, "initrd": None,
        "hypervisor": None, "memory": "1G",
        # A command of the console's, before anything is measured.
        "first": "",
        # Of folders: two that run at a time need one each.
        "prefix": "", **more})


def wanted_rows(opt):
    return opt.rows.split(",") if opt.rows else []


def titles():
    return {row.name: row.title for row in rows()}


def apart_rows():
    return {name for some in APART.values() for name in some}


def main_rows(opt):
    return [n for n in wanted_rows(opt) if n not in apart_rows()]


def known_rows(opt):
    """All that can be measured so: without Rouse there is the main part."""
    known = [row.name for row in rows() if row.asked == "table"]
    if opt.kernel or opt.native:
        known = [name for name in known if name not in apart_rows()
                 or name in APART["queued"]]
    return known


def parts(opt):
    """The parts that the wanted rows are in."""
    wanted = wanted_rows(opt)
    if opt.kernel or opt.native:
        return ["main"]
    return [p for p in PARTS if not wanted or set(wanted) & set(
        APART.get(p, ())) or (p == "main" and main_rows(opt))]


def bootargs(opt):
    out = f"rounds={opt.rounds} sleep_us={opt.sleep_us} settle_us=50000"
    names = main_rows(opt)
    return f"{out} rows={','.join(names)}" if names else out


def run_of(opt, key, part):
    """The machine of a part, on one kind of host."""
    usual = {"machine": MACHINES[key], "timeout": 150 + opt.rounds * 0.5,
             "by_symbol": opt.by == "symbol", "memory": opt.memory,
             "append": opt.append}
    name = opt.prefix + (key if part == "main" else f"{key}-{part}")
    if opt.first and part != "fault":
        usual["append"] = f'{opt.append} cmd="{opt.first}"'.strip()
    if opt.kernel:
        return Run(f"{name}-foreign", **usual).guest(ELF).foreign(
            opt.kernel, opt.hypervisor, opt.initrd)
    if opt.native:
        usual["append"] = "far=1"
        return Run(f"{name}-native", **usual).guest(ELF).native(bootargs(opt))
    if part == "main":
        return Run(name, **usual).guest(ELF).rouse(LABS / "meter.dts",
                                                   bootargs(opt))
    if part == "queued":
        return Run(name, **usual).guest(ELF).rouse(
            LABS / "meter-queued.dts", f"rounds={opt.rounds} settle_us=50000")
    if part == "fault":
        return Run(name, harts=1, options=guard.ICOUNT, **usual).guest(
            ELF).rouse(touch.lab(opt.rounds, first=opt.first))
    return Run(name, harts=1, **usual).guest(ELF).rouse(
        LABS / "meter-pair.dts",
        f"rounds={opt.rounds} dirty={part.partition('_')[2]}")


def measure_part(opt, key, part):
    """{row name: Figures} of a part, and why others are missing or fewer."""
    run = run_of(opt, key, part)
    try:
        rounds, missing = run.rounds()
    except NoRoom as why:
        return {}, {name: str(why) for name in APART.get(part, main_rows(opt))}
    found = {name: Figures(done, run.map.buckets, run.map.signs)
             for name, done in rounds.done.items()}
    for name, reasons in rounds.dropped.items():
        missing.setdefault(name, "; ".join(
            f"{n} rounds dropped: {why}" for why, n in reasons.items()))
    return found, missing


def measure(opt, key):
    """The same of all parts together."""
    found, missing = {}, {}
    for part in parts(opt):
        more, without = measure_part(opt, key, part)
        found.update(more)
        missing.update(without)
    # What one machine skips another does, and what isn't wanted is no loss.
    wanted = wanted_rows(opt)
    return found, {name: why for name, why in missing.items()
                   if (not wanted or name in wanted)
                   and (name not in found or "dropped" in why)}


def asked(b):
    """What the questions of a run want."""
    return options(rounds=50 if b.quick else 1000)


def counted(b, machine, part):
    """{row: Figures} of a part. Once in a run: what took longer in these very
    rounds is a question, too."""
    return b.memo(("meter", machine, part),
                  lambda: measure_part(asked(b), machine, part)[0])
