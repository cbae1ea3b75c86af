"""What a counted round's own instructions say of why it took longer.

Some reasons can't be seen in a trace: while records are written no vCPU takes the
short ways (kernel/sched/yield.h, kernel/sched/resume.h), so a round for which one
of them was refused is like any other that is recorded. But there are functions
that are executed then and else not. These are counted apart from the rest of
their stage (images.Map), under the name of what they are a sign of.
"""

import fnmatch

# {sign: functions of the hypervisor's, shell patterns}. Those of a policy have
# the names of its operations at the end.
SIGNS = {
    "short": ("*_yield", "*_resume"),
    "long": ("look_round",),
    "refused": ("sched_yield_queue",),
    "mail": ("*_look",),
    "timers": ("timer_run",),
    "timer set": ("arch_timer_set",),
    "timer early": ("sched_timer_early",),
    "task": ("task_run_step",),
    "console": ("console_task_step",),
    "task waits": ("tasks_turn",),
    "timer exit": ("exit_timer",),
    "doorbell exit": ("exit_doorbell",),
    "fault": ("gmem_fault",),
}

TASK = "a step of a task of the hypervisor's"

# What a round has more of than the typical one, and what that means; the first
# that applies. Words are those of explain.CAUSES where they say the same.
MORE = (
    ("console", f"{TASK} (console)"),
    ("task", TASK),
    ("fault", "memory touched for the first time"),
)
# If it took the long way, and the typical one the short way.
REFUSED = (
    ("refused", "the policy has none for what it found"),
    ("timers", "a timer was due"),
    ("mail", "there was mail"),
    ("task waits", "a task waits for its time"),
    ("timer set", "the CPU's timer was due"),
)
NOT_TOLD = "no function tells why"
# If it took the same way.
BESIDE = (
    ("timer early", "the CPU's timer came too soon, and was set anew"),
    ("timer exit", "the CPU's own timer ended the turn"),
    ("doorbell exit", "a doorbell ended the turn"),
)


def sign_of(symbol):
    """What a function of the hypervisor's is a sign of, or ""."""
    plain = symbol.partition(".")[0]
    return next((sign for sign, patterns in SIGNS.items()
                 if any(fnmatch.fnmatchcase(plain, p) for p in patterns)), "")


def dead(symbols):
    """Patterns that match none of the symbols."""
    plain = [s.partition(".")[0] for s in symbols]
    return [p for patterns in SIGNS.values() for p in patterns
            if not fnmatch.filter(plain, p)]


def difference(signs, counts, typical):
    """{sign: how many of its instructions more}. signs: of each bucket."""
    out = {}
    for sign, n, usual in zip(signs, counts, typical):
        if sign and n != usual:
            out[sign] = out.get(sign, 0) + n - usual
    return out


def first(table, more):
    return next((text for sign, text in table if more.get(sign, 0) > 0), None)


def reason(more):
    """The reason that such a difference gives, or None."""
    told = first(MORE, more)
    if told:
        return told
    if more.get("long", 0) > 0 > more.get("short", 0):
        return f"the short way was refused: {first(REFUSED, more) or NOT_TOLD}"
    return first(BESIDE, more)


def knows_better(own, recorded, none):
    """Is a round's own reason better than that of the recorded one, which may be
    `none`? A recording has a task of its own, whose steps are like any."""
    return recorded == none or \
        (own.startswith(TASK) and recorded.startswith(TASK))
