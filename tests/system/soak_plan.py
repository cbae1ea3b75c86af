"""What a soak does: its guests, and a list of steps made from a seed.

A step is a line of text. Most are what is typed at the console; those that
begin with @ are the soak's own:

    @attach GUEST KEYS    be at the guest's terminal and type that
    @break COMMAND        type it, and Ctrl-C right behind
    @trace off|on ...     that, when all of a trace before it has been seen
    @check                look at the listings
    @settle               give every guest what it needs, and see it go on
    @calm GUEST           nobody else runs: do its vCPUs go on waking each other?

The same seed gives the same list, whatever the machine does meanwhile: so a
list can be had again from its seed, or be shortened by hand and replayed.
"""

import random

import matrix

CPUS = 4
ENDLESS = 1000000000

# Linux has both vCPUs sleep and wake by themselves.
LINUX_RUN = ("for c in 0 1; do (while :; do usleep 20000; done) & done; "
             "while :; do dd if=/dev/zero of=/dev/null bs=64k count=50; "
             "sleep 1; done 2>/dev/null")


class Kind:
    """A guest. `each`: every one of its vCPUs can be seen to go on, not only
    some of them. `lives`: it ends by itself again and again."""

    def __init__(self, name, image, args="", vcpus=2, memory="16M", each=True,
                 lives=False, **knobs):
        self.name, self.vcpus, self.each = name, vcpus, each
        self.lives = lives
        self.knobs = {"kernel": f"baremetal/{image}.elf", "bootargs": args,
                      "vcpus": vcpus, "memory": memory, **knobs}
        if lives:
            self.knobs.update({"on-poweroff": "restart",
                               "on-reboot": "restart"})

    def create(self):
        words = " ".join(f'"{k}={v}"' for k, v in self.knobs.items() if v)
        return f"guest create {self.name} {words}"


# One token goes round in `hunt`, so one wake that is lost stops it for good;
# no watchdog comes to the rescue there or in `pp`.
KINDS = [
    Kind("linux", "", 'console=ttyS0 hostname=linux quiet nowatchdog '
         'rcupdate.rcu_cpu_stall_suppress=1 run=\\"' + LINUX_RUN + '\\"',
         memory="128M", each=False, kernel="linux/Image",
         initrd="linux/initrd-small.gz"),
    Kind("uboot", "", vcpus=1, memory="64M", kernel="uboot/u-boot.bin"),
    Kind("hunt", "wakehunt", f"rounds={ENDLESS} tokens=1 delay_us=20 "
         f"watchdog_ms={ENDLESS}", vcpus=4),
    Kind("pp", "pingpong", f"rounds={ENDLESS} watchdog_ms={ENDLESS}"),
    Kind("tick", "tick", "seconds=0 hz=200"),
    Kind("spin", "spin"),
    Kind("toucher", "toucher", f"passes={ENDLESS}"),
    Kind("boost", "shares", "mode=boost ms=300", each=False, lives=True),
    Kind("probe", "probe", "mode=ipi ms=500", each=False, lives=True),
    Kind("steal", "steal", "ms=400", each=False, lives=True),
    Kind("sbitest", "sbitest", vcpus=3, each=False, lives=True),
    Kind("hello", "hello", "reboot=1", each=False, lives=True, cap=20),
]
NAMES = [k.name for k in KINDS]
BY_NAME = {k.name: k for k in KINDS}
# They wake each other; and where they do it when alone, which is not where the
# console is at work, with how many wake-ups of them are waited for.
WAKERS = ("hunt", "pp")
CALM_CPUS, CALM_WAKES = "1-3", 4000
# What the console remembers of what was typed (kernel/shell/history.h).
REMEMBERED = 64 << 10
# Comes and goes.
VISITOR = Kind("visitor", "tick", "seconds=0", vcpus=3, autostart="on")

# Classes that the checks need come along always.
CLASSES = ("sched,life", "sched,life", "sched,life,bell,timer",
           "sched,life,virq,policy", "all")
TRACE_KIB = 32768


class Plan:
    def __init__(self, seed):
        self.dice = random.Random(seed)

    def one_of(self, *values):
        return self.dice.choice(values)

    def cpus(self):
        n = self.dice.randrange(1, CPUS + 1)
        return ",".join(map(str, sorted(self.dice.sample(range(CPUS), n))))

    def kind(self):
        return self.dice.choice(KINDS)

    # --- single steps ---

    def pause(self):
        return f"guest pause {self.kind().name}"

    def resume(self):
        return f"guest resume {self.kind().name}"

    def blink(self):
        """Both at once, perhaps with a moment between."""
        name = self.kind().name
        moment = self.one_of("", "sleep 0.01; ", "sleep 0.1; ")
        return f"guest pause {name}; {moment}guest resume {name}"

    def stop(self):
        return f"guest stop {self.kind().name}"

    def start(self):
        return f"guest start {' '.join(self.dice.sample(NAMES, 3))}"

    def reset(self):
        return f"guest reset {self.kind().name}"

    def paused_end(self):
        """A life that ends, or is followed by another, while it's paused."""
        name = self.kind().name
        return (f"guest pause {name}; guest {self.one_of('stop', 'reset')} "
                f"{name}; guest start {name}; guest pause {name}")

    def knobs(self):
        kind = self.kind()
        cap = self.one_of(0, 0, self.dice.randrange(10, 100 * kind.vcpus))
        words = [f"weight={self.dice.randrange(1, 2000)}", f"cap={cap}",
                 f"priority={self.dice.randrange(80, 120)}",
                 f"slice-us={self.one_of(100, 1000, 10000, 50000)}",
                 f"wfi={self.one_of('trap', 'trap', 'native', 'poll')}",
                 f"wfi-poll-us={self.one_of(1, 50, 1000)}"]
        words = self.dice.sample(words, self.dice.randrange(1, 4))
        return f"set {kind.name} {' '.join(words)}"

    def affinity(self):
        return (f"set {self.kind().name} pin=none "
                f"affinity={self.one_of('all', self.cpus())}")

    def pin(self):
        kind = self.kind()
        where = self.one_of("none", self.cpus(), self.cpus())
        return (f"vcpu pin {kind.name}:{self.dice.randrange(kind.vcpus)} "
                f"{where}")

    def pins(self):
        """Several of a guest, one behind the other."""
        kind = self.kind()
        return "; ".join(f"vcpu pin {kind.name}:{i} "
                         f"{self.dice.randrange(CPUS)}"
                         for i in range(kind.vcpus))

    def policy(self):
        return ("sched set "
                + self.one_of(*matrix.sharing(), matrix.default()))

    def policies(self):
        """Also those that have room for few, while many are off."""
        return "; ".join(f"sched set {p}; sleep 0.05" for p in
                         self.dice.sample(matrix.policies(), 3))

    def attach(self):
        keys = self.one_of("", "\\r", "version\\r", "x" * 70, "\\x03\\r")
        return f"@attach {self.kind().name} {keys}"

    def interrupted(self):
        return (f"@break guest {self.one_of('start', 'stop', 'reset')} "
                f"{self.kind().name}")

    def watch(self):
        return self.one_of("watch off", f"watch {self.kind().name}")

    def regs(self):
        kind = self.kind()
        return f"vcpu regs {kind.name}:{self.dice.randrange(kind.vcpus)}"

    def look(self):
        return self.one_of("guest list", "vcpu list", "sched params", "mem",
                           "sched cpus", "stats", "top 1 1", "log 5",
                           "trace status")

    def stats(self):
        return "stats " + self.one_of("on", "off", "clear")

    def trace(self):
        """On twice as often as off: most checks need it, but the short way
        from a wait into a guest is taken without."""
        if self.dice.random() > 0.66:
            return "@trace off"
        return (f"@trace on {self.dice.choice(CLASSES)} "
                f"size={TRACE_KIB}{self.one_of('', '', ' late=5000')}")

    def visit(self):
        return self.one_of(VISITOR.create(), "guest pause visitor",
                           "guest stop visitor; guest destroy visitor",
                           "guest stop visitor; guest destroy visitor")

    def rest(self):
        return f"sleep {self.one_of(0.05, 0.1, 0.2, 0.4)}"

    WEIGHTS = [(pause, 4), (resume, 6), (blink, 6), (stop, 3), (start, 6),
               (reset, 4), (paused_end, 2), (knobs, 8), (affinity, 4),
               (pin, 6), (pins, 3), (policy, 4), (policies, 1), (attach, 2),
               (interrupted, 2), (watch, 2), (regs, 2), (look, 5), (stats, 1),
               (trace, 3), (visit, 3), (rest, 8)]

    def step(self):
        steps, weights = zip(*self.WEIGHTS)
        return self.dice.choices(steps, weights)[0](self)

    def line(self):
        """Some steps in one line, which follow each other at once."""
        words = []
        for _ in range(self.one_of(1, 1, 2, 3)):
            step = self.step()
            if step.startswith("@"):
                yield step
            else:
                words.append(step)
        if words:
            yield "; ".join(words)

    def steps(self):
        """For ever: rounds that each begin with a new recording, or none, and
        end where all guests must be seen to go on."""
        while True:
            yield self.trace()
            for _ in range(self.dice.randrange(10, 30)):
                yield from self.line()
                if self.dice.random() < 0.1:
                    yield "@check"
            yield "@settle"
            yield from (f"@calm {name}" for name in WAKERS)
            yield "@check"
