"""Lab files as text, and talking to Rouse's shell.

    lab(guest("a", "spin", vcpus=2, weight=512), poweroff=True)

Guests start with Rouse unless autostart=False is said.
"""

import json
import re

from harness import SLOW, WAIT_HANGS_S, Failure

LINUX = {"kernel": "linux/Image", "initrd": "linux/initrd-small.gz",
         "memory": "128M", "vcpus": 2}
# Linux has limits against hanging, too; its usual ones are 21 and 10 s.
PATIENT = ("" if SLOW <= 1 else
           f" rcupdate.rcu_cpu_stall_timeout={min(300, int(21 * SLOW))}"
           f" watchdog_thresh={min(60, int(10 * SLOW))}")


def _value(name, value):
    if isinstance(value, bool):
        return f"{name};" if value else ""
    if isinstance(value, int):
        return f"{name} = <{value}>;"
    if isinstance(value, (list, tuple)):
        return f"{name} = <{' '.join(str(v) for v in value)}>;"
    return f"{name} = {json.dumps(value)};"


def guest(name, image=None, autostart=True, extra="", **knobs):
    """One guest's node; `image` is a bare-metal guest's name."""
    if image:
        knobs = {"memory": "16M", "kernel": f"baremetal/{image}.elf", **knobs}
    knobs = {k.replace("_", "-"): v for k, v in knobs.items()}
    body = "".join(f"\t\t\t{_value(k, v)}\n" for k, v in knobs.items()
                   if v is not None)
    return (f"\t\t{name} {{\n{body}" + ("\t\t\tautostart;\n" if autostart
                                        else "") + f"{extra}\t\t}};\n")


def linux(name, extra_args="", **knobs):
    """A Debian Linux with two vCPUs; `extra_args` are for its command line."""
    args = f"console=ttyS0 hostname={name} {extra_args}".strip() + PATIENT
    return guest(name, **{**LINUX, "bootargs": args, **knobs})


def lab(*guests, scheduler=None, poweroff=False, boot=None, seed=1):
    top = ['\tcompatible = "rouse,lab";\n']
    if scheduler:
        top.append(f'\tscheduler = "{scheduler}";\n')
    if poweroff:
        top.append('\tpoweroff = "when-done";\n')
    if seed is not None:
        top.append(f"\tseed = <{seed}>;\n")
    if boot:
        top.append("\tboot = " + ", ".join(json.dumps(b) for b in boot)
                   + ";\n")
    return ("/dts-v1/;\n\n/ {\n" + "".join(top) + "\n\tguests {\n"
            + "".join(guests) + "\t};\n};\n")


# In place of the prompt or not, whether that was waited for or is yet to come.
LINE = r"(?:^(?:rouse> .*)?|(?<=^rouse> ) *)\[{}\] "


def said(name, pattern):
    """A pattern for a watched guest's line that begins so."""
    return LINE.format(name) + pattern


def says(name, text):
    """The same for a plain text, from a guest that may be slow to write it: a
    line that does not end in time is shown in pieces, each with the name in
    front, and others' lines may come between."""
    pause = r"(?:\n(?:.*\n)*?" + LINE.format(name) + ")?"
    return LINE.format(name) + pause.join(map(re.escape, text))


def heard(name, text):
    """All that a watched guest said, the pieces of lines put together."""
    return "".join(re.findall(LINE.format(name) + "(.*)$", text, re.M))


def pages(row):
    """What is free of the host's memory (`mem -j`), to the byte, with the
    frames that objects are in: in which slabs those lie, such as the rest of
    the line that is being done, is chance, and the sum of both isn't."""
    return row["free_bytes"] + row["object_frames_bytes"]


class Shell:
    """Types commands at Rouse's prompt and gets their output, whatever guests
    write meanwhile.

    The end of the output is found by asking for help on a word that there
    isn't, which gives one line that holds the word.
    """

    def __init__(self, machine):
        self.m = machine
        self.count = 0

    def run(self, command, timeout=WAIT_HANGS_S):
        """The output's lines, without those of guests and of the log."""
        if not self.count:
            self.m.line("screen 1000")  # no echo is broken into lines
        self.count += 1
        end = rf"^help: no command 'end{self.count}'.*\n"
        # The prompt may be there already.
        start = self.m.text.rfind("\n", 0, self.m.seen) + 1
        self.m.line(f"{command}; help end{self.count}")
        match = self.m.expect(end, timeout)
        text = self.m.text[start:match.start()]
        # What was typed is shown when the prompt is, perhaps several times.
        lines = text[text.rfind("rouse> "):].split("\n")[1:]
        return [line for line in lines if line.strip()
                and not re.match(r"rouse> |\[[\w.-]+\] |\[ *\d+\.\d+\] ", line)]

    def json(self, command, timeout=WAIT_HANGS_S):
        """The objects that a command prints with -j."""
        found = []
        for line in self.run(f"{command} -j", timeout):
            try:
                found.append(json.loads(line))
            except ValueError:
                raise Failure(f"{command} -j prints what is no JSON: "
                              f"{line!r}") from None
        return found

    def quiet(self):
        """Shows no lines of guests from now on."""
        self.run("watch off")

    def use_up_names(self, timeout=WAIT_HANGS_S):
        """So many names of vCPUs that are gone does the tracer keep, and no
        more: from now on a guest that goes leaves nothing there. The lab has
        hello.elf."""
        for _ in range(5):
            said = self.run("guest create gone vcpus=64 memory=4M kernel="
                            "baremetal/hello.elf; guest destroy gone", timeout)
            if said:
                raise Failure(f"no names used up: {said}")

    def guests(self):
        return {g["name"]: g for g in self.json("guest list")}

    def vcpus(self):
        """{(guest, vCPU): listing}"""
        return {(v["guest"], v["vcpu"]): v for v in self.json("vcpu list")}

    def running_ns(self):
        """{guest: time that its vCPUs have run}, all of nearly one moment."""
        sums = {}
        for (name, _), v in self.vcpus().items():
            sums[name] = sums.get(name, 0) + v["running_ns"]
        return sums
