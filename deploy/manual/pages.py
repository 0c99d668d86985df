"""Makes a manual page, or the completion of bash, of a template: @NAME@ on a line of its own becomes what the programs say of
themselves, so that both have the same verbs, flags and keys as the programs.

    pages.py TEMPLATE OUTPUT GANNETCTL GANNETD GANNET_MGMTD
"""
import re
import subprocess
import sys
import textwrap

KINDS = {"USER": "@users", "VHOST": "@vhosts", "QUEUE": "@queues", "EXCHANGE": "@exchanges", "FILE": "@file", "PIDFILE": "@file", "VERB": "@verbs"}


def said(program, *words):
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


# ---- mdoc ---------------------------------------------------------------------------------------------------------


def roff(text):
    """Text that means itself."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.M)


def prose(text):
    """The same, a sentence a line, which begins with a capital and ends with a full stop."""
    text = text.replace("\\", "\\e").strip()
    text = text[:1].upper() + text[1:]
    if not text.endswith("."):
        text += "."
    sentences = re.sub(r"([\w)])\. (?=[A-Z])", r"\1.\n", text).split("\n")
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, 79, break_on_hyphens=False, break_long_words=False)]
    return re.sub(r"^(?=[.'])", r"\\&", "\n".join(lines), flags=re.M)


def words(arguments):
    """Words of a usage, as arguments of a macro."""
    text = ""
    for word in arguments.split():
        bare = word.removeprefix("[")
        ends = bare.count("]") - bare.count("[")  # what is in brackets within a word stays in it
        plain = roff(bare.removesuffix("]" * ends))
        text += (" Oo" if bare != word else "") + (" " if plain == "..." else " Ar ") + plain + " Oc" * ends
    return text


def flag(name, letter, argument):
    text = ".It Fl Fl " + roff(name)
    if letter != "-":
        text = ".It Fl %s , Fl Fl %s" % (letter, roff(name))
    return text + words(argument)


def flags_of_help(text):
    """(flags, what stands behind them, help) of each row of a --help."""
    found, rows = [], re.split(r"\n\n", text)
    for line in "\n".join(part for part in rows if re.search(r"^  +-", part, re.M)).split("\n"):
        row = re.match(r"  +(?:-(\w), )?--([\w-]+)(?: ([A-Z:]+(?:=[A-Z]+)?))?  +(.*)|  +(?:-(\w), )?--([\w-]+)(?: ([A-Z:=]+))? (.*)", line)
        if row:
            a = row.groups()[:4] if row.group(2) else row.groups()[4:]
            found.append([a[1], a[0] or "-", a[2] or "", a[3]])
        elif found and line.startswith("       ") and line.strip():
            found[-1][3] += " " + line.strip()
    return found


# ---- what there is to put in ----------------------------------------------------------------------------------------


class Things:
    def __init__(self, gannetctl, gannetd, mgmtd):
        self.programs = {"gannetctl": gannetctl, "gannetd": gannetd, "gannet-mgmtd": mgmtd}
        self.rows = [line.split("\t") for line in said(gannetctl, "help", "--rows").splitlines()]

    def of(self, kind):
        return [row[1:] for row in self.rows if row[0] == kind]

    def verbs(self):
        lines, known = [], {name: (letter, argument) for name, letter, argument, *_ in self.of("flag")}
        for kind, *row in self.rows:
            if kind == "group":
                lines += ([".El"] if lines else []) + [".Ss " + row[0], ".Bl -tag -width Ds"]
            elif kind == "verb":
                word, arguments, flags, text = row
                lines.append(".It Ic " + roff(word))
                for name in flags.split():
                    letter, argument = known[name]
                    lines[-1] += " Oo Fl %s%s Oc" % (letter if letter != "-" else "Fl " + roff(name), words(argument))
                lines += [lines.pop() + words(arguments), prose(text)]
        return lines + [".El"]

    def flags(self, where):
        lines = [".Bl -tag -width Ds"]
        for name, letter, argument, of, _, text in self.of("flag"):
            if of == where:
                lines += [flag(name, letter, argument), prose(text)]
        return lines + [".El"]

    def missing(self):
        lines = [".Bl -tag -width Ds"]
        for word, why in self.of("none"):
            lines += [".It Ic " + roff(word), prose(why)]
        return lines + [".El"]

    def options_of(self, program):
        lines = [".Bl -tag -width Ds"]
        for name, letter, argument, text in flags_of_help(said(self.programs[program], "--help")):
            lines += [flag(name, letter, argument), prose(text)]
        return lines + [".El"]

    def keys(self):
        lines = [".Bl -tag -width Ds"]
        for line in said(self.programs["gannetd"], "--help-options").splitlines():
            row = re.fullmatch(r"\| `(.*?)` \| `(.*?)` \| (.*?) \| (.*?) \| (.*?) \| (.*) \|", line)
            if not row:
                continue
            key, preset, kind, bounds, reload, text = row.groups()
            more = kind + (", " + bounds if bounds else "") + ("; read again at SIGHUP" if reload else "")
            lines += [(".It Ic %s = %s" % (roff(key), roff(preset))).rstrip(), prose(more), ".br", prose(text)]
        return lines + [".El"]

    # ---- bash ----

    def case_of_flags(self):
        lines = []
        for name, letter, argument, _, completes, _ in self.of("flag"):
            if argument:
                spelled = "--" + name + (" | -" + letter if letter != "-" else "")
                lines.append("        %s) values='%s' ;;" % (spelled, completes))
        return lines

    def case_of_verbs(self):
        lines = []
        for word, arguments, flags, _ in self.of("verb"):
            kinds = [KINDS.get(argument.strip("[]"), "-") for argument in arguments.split() if argument not in ("...]", "...")]
            taken = ["--" + name for name in flags.split()]
            if kinds or taken:
                lines.append("        %s) flags='%s' kinds=(%s) ;;" % (word, " ".join(taken), " ".join(kinds)))
        return lines

    def all_verbs(self):
        return ["_gannetctl_verbs='%s'" % " ".join(row[0] for row in self.of("verb"))]

    def general_flags(self):
        return ["_gannetctl_flags='%s'" % " ".join("--" + row[0] for row in self.of("flag") if row[3] == "general")]


def main(template, output, *programs):
    things = Things(*programs)
    made = {
        "verbs": things.verbs, "missing": things.missing, "keys": things.keys,
        "general-flags": lambda: things.flags("general"), "particular-flags": lambda: things.flags("particular"),
        "gannetd-options": lambda: things.options_of("gannetd"), "mgmtd-options": lambda: things.options_of("gannet-mgmtd"),
        "case-of-flags": things.case_of_flags, "case-of-verbs": things.case_of_verbs, "all-verbs": things.all_verbs,
        "all-flags": things.general_flags,
    }
    with open(template, encoding="utf-8") as source, open(output, "w", encoding="utf-8") as page:
        for line in source:
            name = re.fullmatch(r"@([\w-]+)@\n", line)
            page.writelines(made_line + "\n" for made_line in made[name.group(1)]()) if name else page.write(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
