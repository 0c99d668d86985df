"""The language of *.wire files (README.md): lines become steps."""
import re


class Step:
    def __init__(self, where, verb, name="main", channel=1, what="", fields=None, times=1):
        self.where, self.verb, self.name, self.channel = where, verb, name, channel
        self.what, self.fields, self.times = what, fields or {}, times


class Text:
    """What is left of a line."""

    def __init__(self, line, where):
        self.rest, self.where = line.strip(), where

    def fail(self, why):
        raise SystemExit("%s: %s at %r" % (self.where, why, self.rest))

    def take(self, pattern):
        found = re.match(pattern, self.rest)
        if not found:
            return None
        self.rest = self.rest[found.end():].lstrip()
        return found

    def value(self):
        found = self.take(r'"((?:[^"\\]|\\.)*)"')
        if found:
            return self.repeated(unescape(found.group(1)))
        found = self.take(r"([bBsuIilLfdDTSt])\(")
        if found:
            value = self.value()
            return self.take(r"\)") and ("typed", found.group(1), value) or self.fail("no )")
        found = self.take(r"x([0-9a-fA-F]*)(?![\w.])")
        if found:
            return self.repeated(bytes.fromhex(found.group(1)))
        found = self.take(r'~"((?:[^"\\]|\\.)*)"')
        if found:
            return ("regex", unescape(found.group(1)))
        found = self.take(r"\$(\w+)")
        if found:
            return ("variable", found.group(1))
        found = self.take(r"-?\d+\.\d+")
        if found:
            return float(found.group(0))
        found = self.take(r"(0x[0-9a-fA-F]+|-?\d+)")
        if found:
            return int(found.group(1), 0)
        found = self.take(r"(true|false|void)\b")
        if found:
            return {"true": True, "false": False, "void": None}[found.group(1)]
        if self.take(r"absent\b"):
            return ("absent",)
        if self.take(r"\{"):
            return self.table()
        if self.take(r"\["):
            return self.array()
        return self.fail("no value")

    def repeated(self, value):
        found = self.take(r"\*(\d+)")
        return value * int(found.group(1)) if found else value

    def table(self):
        table = {}
        while not self.take(r"\}"):
            if self.take(r"\.\.\."):
                table["..."] = True
                continue
            name = self.take(r"([\w.-]+)=") or self.fail("no field name")
            table[name.group(1)] = self.value()
        return table

    def array(self):
        array = []
        while not self.take(r"\]"):
            array.append("..." if self.take(r"\.\.\.") else self.value())
        return array

    def fields(self):
        fields = {}
        while self.rest:
            name = self.take(r"([\w.]+)=")
            fields[name.group(1) if name else "data"] = self.value()
        return fields


def unescape(s):
    """Text, unless it has an escape that makes it bytes."""
    if "\\" not in s:
        return s
    data = s.encode().decode("unicode_escape").encode("latin-1")
    return data if re.search(r"\\x", s) else data.decode()


def parse_line(line, where):
    text = Text(line, where)
    name = text.take(r"@(\w+)")
    name = name.group(1) if name else "main"
    again = text.take(r"until\b")
    found = text.take(r"([<>])(\d*)")
    if found:
        times = text.take(r"(\d+) times")
        what = text.take(r"[a-z][a-z-]*(\.[a-z-]+)?") or text.fail("nothing to send or expect")
        step = Step(where, "send" if found.group(1) == ">" else "until" if again else "expect", name)
        step.channel = int(found.group(2)) if found.group(2) else 0 if what.group(0).startswith("connection.") else 1
        step.times = int(times.group(1)) if times else 1
        step.what = what.group(0)
        step.fields = text.fields()
        if step.what in ("bytes", "body") and isinstance(step.fields.get("data"), str):
            step.fields["data"] = step.fields["data"].encode()
        return step
    verb = text.take(r"(connect|stream|abort|sleep|reopen|now|ctl)\b") or text.fail("no such step")
    if verb.group(1) == "sleep":
        return Step(where, "sleep", fields={"seconds": float(text.value())})
    if verb.group(1) == "ctl":
        words = []
        while text.rest:
            words.append(text.value())
        return Step(where, "ctl", fields={"words": words})
    if verb.group(1) == "now":
        return Step(where, "now", fields={"variable": text.value()[1]})
    if verb.group(1) == "reopen":
        return Step(where, "reopen", name, int(text.value()) if text.rest else 1)
    return Step(where, verb.group(1), name, fields=text.fields())


def parse_file(path):
    """A list of (title, only, steps)."""
    conversations = []
    with open(path) as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            where = "%s:%d" % (path, number)
            if not line or line.startswith("#"):
                continue
            found = re.match(r"conversation (.*?)(?: \(only (\w+)\))?$", line)
            if found:
                conversations.append((found.group(1), found.group(2), []))
            elif not conversations:
                raise SystemExit("%s: a step before the first conversation" % where)
            else:
                conversations[-1][2].append(parse_line(line, where))
    return conversations


class Version:
    """A step that says which version the others are of."""

    verb, name, fields = "version", "main", {}

    def __init__(self, version):
        self.version, self.where = version, "version %s" % version


def in_versions(path, ending, between, version):
    """The same, where a title that has the ending is a conversation for each of the versions in its group."""
    for title, only, steps in parse_file(path):
        found = ending.search(title)
        if not found:
            yield title, only, steps
            continue
        for text in found.group(1).split(between):
            yield "%s (%s%s)" % (title[:found.start()], between.strip(), text), only, [Version(version(text))] + steps
