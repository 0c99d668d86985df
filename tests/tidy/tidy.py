#!/usr/bin/python3
"""Style is a test: looks at the whole tree and says, with file and line, what is against the rules in rules.py.

    tidy.py [--root DIR] [CHECK...]     all checks, or those named
    tidy.py --record                    takes numbers in long_*.txt down to what they are now; never up
"""
import argparse
import ast
import bisect
import concurrent.futures
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import rules

SOURCES = (".c", ".h", ".def")
JOBS = os.cpu_count() or 1


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, p) for p in patterns)


class File:
    """path: from the root, with '/'. text: as it stands. code: of C, with comments and strings blanked out."""

    def __init__(self, root, path):
        self.path = path
        self.name = path.rsplit("/", 1)[-1]
        self.folder = path.rsplit("/", 1)[0] if "/" in path else "."
        self.text = (root / path).read_text(encoding="utf-8")
        self.is_c = path.endswith(SOURCES)
        self.code = blanked(self.text) if self.is_c else self.text
        self.ends = [m.start() for m in re.finditer("\n", self.text)]

    def line_of(self, offset):
        return bisect.bisect_left(self.ends, offset) + 1

    def lines(self):
        return len(self.ends)

    def is_shell(self):
        first = self.text.split("\n", 1)[0]
        return bool(re.match(r"#!.*\b(ba)?sh\b", first)) or "# shellcheck shell=" in self.text[:500]

    def at(self, offset, what):
        return f"{self.path}:{self.line_of(offset)}: {what}"


def blanked(text):
    """The text with comments, strings and characters replaced by blanks of the same length."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    include = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"[^"\n]*"', re.M)
    kept = [(m.start(), m.end()) for m in include.finditer(text)]

    def blank(m):
        if any(a <= m.start() < b for a, b in kept):
            return m.group()
        return re.sub(r"[^\n]", " ", m.group())

    return token.sub(blank, text)


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self.files = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if self.is_ours(Path(folder) / f))
            for name in sorted(names):
                self.add((Path(folder) / name).relative_to(root).as_posix())
        self.by_path = {f.path: f for f in self.files}

    @staticmethod
    def is_ours(folder):
        """Neither git's, nor a build directory, nor what a fuzzer found."""
        return (folder.name not in (".git", "__pycache__", "corpus", "node_modules")
                and not (folder / "build.ninja").exists() and not (folder / "meson-private").exists())

    def add(self, path):
        try:
            self.files.append(File(self.root, path))
        except UnicodeDecodeError:
            pass  # no text

    def c_files(self):
        return [f for f in self.files if f.path.endswith((".c", ".h"))]

    def some(self, patterns):
        return [f for f in self.files if matches(f.path, patterns)]


# ---- (a) includes ----------------------------------------------------------------------------------------------------


def resolve(tree, file, name):
    tests = ["tests/unit"] if file.path.startswith("tests/") else []
    for folder in (file.folder, ".", "dataplane", *tests):
        path = os.path.normpath(f"{folder}/{name}")
        if path in tree.by_path:
            return path
    return None


def include_problem(tree, file, name):
    target = resolve(tree, file, name)
    if not target:
        return f"there is no {name}"
    part, _, allowed = next((row for row in rules.INCLUDES if matches(file.path, row[1])), (None, None, None))
    if not part:
        return f"{file.path} is of no part in tests/tidy/rules.py"
    if not matches(target, [pattern for pattern, _ in allowed]):
        return f"{part} may not include {target}; it may: " + ", ".join(pattern for pattern, _ in allowed)
    own = target.rsplit("/", 1)[0] == file.folder
    if matches(target, rules.SIMULATED) and not own and not file.path.startswith("tests/"):
        return f"{target} is simulated: only tests include it"
    return None


def system_problem(file, name):
    for header, allowed in rules.SYSTEM:
        if fnmatch.fnmatchcase(name, header) and not matches(file.path, [p for p, _ in allowed]):
            return f"<{name}> is only for " + ", ".join(p for p, _ in allowed)
    why = next((why for pattern, why in rules.PURE if matches(file.path, [pattern])), None)
    if why and name not in rules.PURE_HEADERS:
        if not any(matches(file.path, [f]) and matches(name, [h]) for f, h, _ in rules.PURE_TOO):
            return f"{file.path} may not include <{name}>: {why}"
    return None


def check_includes(tree):
    for file in tree.c_files():
        for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]*)"|<([^>\n]*)>)', file.code, re.M):
            problem = include_problem(tree, file, m[1]) if m[1] else system_problem(file, m[2])
            if problem:
                yield file.at(m.start(), problem)


# ---- (b), (c) calls and words ----------------------------------------------------------------------------------------


def check_calls(tree):
    for names, instead, allowed in rules.CALLS:
        call = re.compile(r"(?<![\w.>\"])(?:%s)\s*\(" % "|".join(names.split()))
        for file in tree.c_files():
            if matches(file.path, [p for p, _ in allowed]):
                continue
            for m in call.finditer(file.code):
                yield file.at(m.start(), f"{m.group()[:-1].strip()}: {instead}")


def check_words(tree):
    for file in tree.files:
        if file.folder == "tests/tidy":
            continue  # they stand here
        for word, instead in rules.WORDS:
            for m in re.finditer(word, file.text):
                yield file.at(m.start(), f"'{m.group()}': {instead}")
        for word, what in rules.HOSTS:
            for m in re.finditer(word, file.text):
                yield file.at(m.start(), f"'{m.group()}' is {what}")


# ---- (d) lengths -----------------------------------------------------------------------------------------------------


def c_functions(file):
    """(name, first line, lines): those whose braces stand at the beginning of a line, as clang-format puts them."""
    code = file.code.split("\n")
    for opening in (i for i, line in enumerate(code) if line == "{"):
        first = opening
        while first > 0 and code[first - 1].strip() and not re.search(r"[;}]\s*$|^\s*#", code[first - 1]):
            first -= 1
        last = next((i for i in range(opening, len(code)) if code[i].startswith("}")), len(code) - 1)
        head = " ".join(file.text.split("\n")[first:opening])
        test = re.match(r"\s*(?:Test|ParameterizedTest|Theory)\s*\(([^,]+),\s*(\w+)", head)
        name = re.search(r"(\w+)\s*\(", head)
        if name:
            yield (f"{test[1]}/{test[2]}" if test else name[1]), first + 1, last - first + 1


def python_functions(file):
    for node in ast.walk(ast.parse(file.text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def functions(file):
    if file.path.endswith((".c", ".h")):
        return c_functions(file)
    return python_functions(file) if file.path.endswith(".py") else ()


def long_functions(tree):
    return {f"{file.path} {name}": (line, n) for file in tree.files for name, line, n in functions(file)
            if n > rules.FUNCTION_LINES}


def long_files(tree):
    return {file.path: (1, file.lines()) for file in tree.files
            if file.lines() > rules.FILE_LINES and (file.is_c or file.path.endswith(".py") or file.is_shell())}


RATCHETS = [("tests/tidy/long_functions.txt", long_functions, rules.FUNCTION_LINES),
            ("tests/tidy/long_files.txt", long_files, rules.FILE_LINES)]


def recorded(tree, path):
    """{name: lines} of a ratchet's file."""
    text = tree.by_path[path].text if path in tree.by_path else ""
    rows = (line.split(" ", 1) for line in text.split("\n") if line and not line.startswith("#"))
    return {name: int(n) for n, name in rows}


def check_lengths(tree):
    for path, measure, limit in RATCHETS:
        old, now = recorded(tree, path), measure(tree)
        for name, (line, n) in now.items():
            where = f"{name.split(' ')[0]}:{line}: {name.split(' ')[-1]} is {n} lines long"
            if measure is long_functions and n > rules.FUNCTION_LINES_MAX:
                yield f"{where}; {rules.FUNCTION_LINES_MAX} are the most"
            elif name not in old:
                yield f"{where}; over {limit} is too long for what is new"
            elif n > old[name]:
                yield f"{where}; it was {old[name]} and may only shrink"
            elif n < old[name]:
                yield f"{where} and was {old[name]}: make that the record (tidy.py --record)"
        for name in old.keys() - now.keys():
            yield f"{path}: {name} is no longer long: take it off (tidy.py --record)"


def record(tree):
    for path, measure, _ in RATCHETS:
        old, now = recorded(tree, path), measure(tree)
        head = [line for line in tree.by_path[path].text.split("\n") if line.startswith("#")]
        rows = [f"{min(n, now[name][1])} {name}" for name, n in sorted(old.items()) if name in now]
        (tree.root / path).write_text("\n".join(head + rows) + "\n", encoding="utf-8")


# ---- (e), (h) other people's tools -----------------------------------------------------------------------------------


def in_batches(command, paths, cwd):
    """Runs command over the paths, JOBS at a time; returns all that they say."""
    batches = [paths[i::JOBS] for i in range(JOBS) if paths[i::JOBS]]

    def run(batch):
        done = subprocess.run([*command, *batch], cwd=cwd, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return "".join(pool.map(run, batches))


def check_format(tree):
    if not shutil.which("clang-format"):
        print("skipped: clang-format is not installed")
        return
    said = in_batches(["clang-format", "--dry-run", "-Werror"], [f.path for f in tree.c_files()], tree.root)
    seen = set()
    for m in re.finditer(r"^([^\s:][^:\n]*):(\d+):\d+: error:", said, re.M):
        if m[1] not in seen:
            seen.add(m[1])
            yield f"{m[1]}:{m[2]}: clang-format -i would change it"


def check_shell(tree):
    if not shutil.which("shellcheck"):
        print("skipped: shellcheck is not installed")
        return
    scripts = [f.path for f in tree.files if f.is_shell()]
    if scripts:
        said = in_batches(["shellcheck", "--format=gcc", "--external-sources"], scripts, tree.root)
        yield from (line for line in said.split("\n") if line)


# ---- (i) headers -----------------------------------------------------------------------------------------------------


def check_headers(tree):
    """Each header compiles alone, and twice."""
    headers = [f for f in tree.c_files() if f.path.endswith(".h")]
    compiler = os.environ.get("CC", "cc").split()
    if not shutil.which(compiler[0]):
        print("skipped: there is no compiler")
        return
    with tempfile.TemporaryDirectory() as folder:
        units = []
        for i, file in enumerate(headers):
            unit = Path(folder) / f"{i}.c"
            unit.write_text(f'#include "{tree.root.resolve()}/{file.path}"\n' * 2, encoding="utf-8")
            units.append(str(unit))
        command = [*compiler, "-fsyntax-only", "-std=gnu17", "-D_GNU_SOURCE", "-DGANNET_VERSION=\"\"", "-Wall", "-Wextra",
                   "-Wno-missing-field-initializers", "-I.", "-Idataplane", "-Itests/unit"]
        said = in_batches(command, units, tree.root.resolve()) if units else ""
    seen = set()
    for m in re.finditer(r"^([^\s:][^:\n]*):(\d+):\d+: (?:fatal error|error|warning): (.*)$", said, re.M):
        path = os.path.relpath(m[1], tree.root.resolve())
        if path not in seen:
            seen.add(path)
            yield f"{path}:{m[2]}: alone: {m[3]}"


# ---- (f) documents ---------------------------------------------------------------------------------------------------


def check_readmes(tree):
    folders = {f.folder for f in tree.files if (f.is_c or f.path.endswith(".py") or f.is_shell()) and f.folder[0] != "."}
    for folder in sorted(folders):
        if f"{folder}/README.md" not in tree.by_path:
            yield f"{folder}/README.md: is missing"
    if "README.md" not in tree.by_path:
        yield "README.md: is missing"
        return
    rows = {m[1]: m[2] for m in re.finditer(r"^\| `([\w/]+)/` \|(.*)\|$", tree.by_path["README.md"].text, re.M)}
    known = {"/".join(f.folder.split("/")[:n]) for f in tree.files for n in (1, 2) if f.folder[0] != "."}
    for folder in sorted(known):
        top, _, rest = folder.partition("/")
        if folder not in rows and not (rest and f"`{rest}/`" in rows.get(top, "")):
            yield f"README.md:1: the map doesn't name {folder}/"
    for folder in sorted(rows.keys() - known):
        yield f"README.md:1: the map names {folder}/, which doesn't exist"


# ---- (j) tables ------------------------------------------------------------------------------------------------------


def check_tables(tree):
    for path, begin, end, row, uses in rules.TABLES:
        file = tree.by_path.get(path)
        start = file and re.search(begin, file.code)
        if not start:
            yield f"{path}: has no {begin}, which tests/tidy/rules.py looks for"
            continue
        stop = re.compile(end).search(file.code, start.end())
        for m in re.compile(row).finditer(file.code, start.end(), stop.start() if stop else len(file.code)):
            for wanted, where, otherwise in uses:
                use = re.compile(wanted.replace("{0}", m[1]).replace("{1}", m[m.re.groups]))
                if not any(use.search(f.code) for f in tree.some(where) if f.path != path):
                    yield file.at(m.start(1), f"{m[m.re.groups]}: {otherwise}")


CHECKS = {
    "includes": check_includes,
    "calls": check_calls,
    "words": check_words,
    "lengths": check_lengths,
    "format": check_format,
    "shell": check_shell,
    "headers": check_headers,
    "readmes": check_readmes,
    "tables": check_tables,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=Path(__file__).resolve().parents[2], type=Path)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(CHECKS))
    args = parser.parse_args()
    tree = Tree(args.root)
    if args.record:
        record(tree)
        return 0
    problems = 0
    for name in args.checks or CHECKS:
        for problem in CHECKS[name](tree):
            print(f"{problem} [{name}]")
            problems += 1
    print(f"{len(tree.files)} files, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
