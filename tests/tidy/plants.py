#!/usr/bin/python3
"""Tests the test: a small tree that is tidy, and one planted violation at a time, each of which its check must catch."""
import shutil
import sys
import tempfile
from pathlib import Path

import tidy

README = """# Small
## Map
| folder | what is in it |
|---|---|
| `dataplane/` | `base/` `codec/` `transport/` |
| `router/` | queues |
| `journal/` | disks |
| `bench/` | load |
| `tests/` | `tidy/` |
"""

C = """#include "router/queue.h"

#include <stdlib.h>

#include "base/check.h"

/* time(NULL) and "strcpy(" in comments and strings are words. */
int queue_length(struct queue *queue)
{
    CHECK(queue);
    return queue->length;
}
"""

CLEAN = {
    ".clang-format": "BasedOnStyle: LLVM\nIndentWidth: 4\nColumnLimit: 110\nBreakBeforeBraces: Linux\n"
                     "AllowShortFunctionsOnASingleLine: Empty\n",
    "README.md": README,
    "dataplane/README.md": "x\n",
    "dataplane/base/README.md": "x\n",
    "dataplane/codec/README.md": "x\n",
    "dataplane/transport/README.md": "x\n",
    "router/README.md": "x\n",
    "journal/README.md": "x\n",
    "bench/README.md": "x\n",
    "tests/tidy/README.md": "x\n",
    "dataplane/base/check.h": "#pragma once\n\n#define CHECK(x) ((void)(x))\n",
    "dataplane/front.h": "#pragma once\n\nstruct front;\n",
    "dataplane/codec/codec.c": '#include "router/command.h"\n\nint codec_kind(void)\n{\n    return COMMAND_STOP;\n}\n',
    "dataplane/transport/transport_sim.h": "#pragma once\n",
    "router/queue.c": C,
    "router/queue.h": "#pragma once\n\nstruct queue {\n    int length;\n};\n\nint queue_length(struct queue *queue);\n",
    "router/command.h": "#pragma once\n\n#define COMMANDS(X) X(STOP, stop)\n\nenum command_kind { COMMAND_STOP };\n",
    "router/router.c": '#include "router/command.h"\n\nint router_on(int kind)\n{\n    switch (kind) {\n'
                       "    case COMMAND_STOP:\n        return 1;\n    }\n    return 0;\n}\n",
    "journal/segment.h": "#pragma once\n",
    "bench/run.h": "#pragma once\n",
    "deploy.sh": '#!/bin/sh\necho "$1"\n',
    "tests/tidy/long_functions.txt": "# None.\n",
    "tests/tidy/long_files.txt": "# None.\n",
}

COMMANDS_ONLY = [row for row in tidy.rules.TABLES if "COMMANDS" in row[1]]


def function(lines, name="long_one"):
    return f"int {name}(int i)\n{{\n" + "    i++;\n" * (lines - 4) + "    return i;\n}\n"


BASE, QUEUE = "dataplane/base/check.h", "router/queue.c"

PLANTS = [
    # (check, what is wrong, the files that are, what must be said)
    ("includes", "base includes the router", {BASE: '#include "router/queue.h"\n'}, "base may not include router/queue.h"),
    ("includes", "the router includes a front", {QUEUE: '#include "front.h"\n'}, "router may not include dataplane/front.h"),
    ("includes", "the router looks into the journal", {QUEUE: '#include "journal/segment.h"\n'}, "may not include journal/"),
    ("includes", "a codec includes a queue", {"dataplane/codec/codec.c": '#include "router/queue.h"\n'}, "codec may not"),
    ("includes", "something includes bench", {"dataplane/main.c": '#include "../bench/run.h"\n'}, "may not include bench/run.h"),
    ("includes", "bench includes the broker", {"bench/run.h": '#include "../router/queue.h"\n'}, "bench may not include"),
    ("includes", "the broker includes what is simulated", {
        "dataplane/main.c": '#include "transport/transport_sim.h"\n'}, "is simulated"),
    ("includes", "a file of no part", {"misc/a.c": '#include "router/queue.h"\n'}, "is of no part"),
    ("includes", "a header that isn't there", {QUEUE: '#include "router/nothing.h"\n'}, "there is no router/nothing.h"),
    ("includes", "rte_* elsewhere", {"journal/a.c": "#include <rte_ring.h>\n"}, "<rte_ring.h> is only for"),
    ("includes", "liburing elsewhere", {"journal/a.c": "#  include <liburing.h>\n"}, "<liburing.h> is only for"),
    ("includes", "openssl elsewhere", {QUEUE: "#include <openssl/rand.h>\n"}, "<openssl/rand.h> is only for"),
    ("includes", "I/O in the router", {QUEUE: "#include <sys/socket.h>\n"}, "does no I/O"),
    *(("calls", call, {QUEUE: C.replace("return queue", f"{call};\n    return queue")}, instead)
      for call, instead in (("clock_gettime(0, 0)", "now_ns"), ("time(NULL)", "now_ns"), ("rand()", "prng"),
                            ("getrandom(0, 0, 0)", "prng"), ("usleep(1)", "sleeping"), ("sleep(1)", "sleeping"),
                            ("strcpy(a, b)", "memcpy"), ("sprintf (a, b)", "snprintf"), ("strcat(a, b)", "snprintf"),
                            ("gets(a)", "getline"), ("atoi(a)", "strtol"), ("alloca(4)", "bound"), ("assert(a)", "CHECK"),
                            ("abort()", "CHECK"))),
    ("calls", "a sleep beside an exception", {"dataplane/worker.c": "void a(void)\n{\n    nanosleep(0, 0);\n}\n"}, "sleeping"),
    *(("words", word, {QUEUE: C + f"/* {word}: think */\n"}, f"'{word}'") for word in ("TODO", "FIXME", "XXX", "HACK")),
    ("words", "for now", {"README.md": README + "It works for now.\n"}, "'for now'"),
    ("words", "a registry", {"deploy.sh": "#!/bin/sh\ncurl https://" + "pypi" + ".org/x\n"}, "a package registry"),
    ("words", "a path of one machine", {"README.md": README + "See /" + "work/main/a.\n"}, "somebody's machine"),
    ("lengths", "a new long function", {QUEUE: C + function(51)}, "long_one is 51 lines long; over 50"),
    ("lengths", "a far too long function, recorded", {
        QUEUE: C + function(81), "tests/tidy/long_functions.txt": f"81 {QUEUE} long_one\n"}, "80 are the most"),
    ("lengths", "a long function that has grown", {
        QUEUE: C + function(61), "tests/tidy/long_functions.txt": f"60 {QUEUE} long_one\n"}, "it was 60"),
    ("lengths", "a long function that has shrunk", {
        QUEUE: C + function(59), "tests/tidy/long_functions.txt": f"60 {QUEUE} long_one\n"}, "make that the record"),
    ("lengths", "a long function that is gone", {"tests/tidy/long_functions.txt": f"60 {QUEUE} long_one\n"}, "no longer long"),
    ("lengths", "a long function of Python", {"a.py": "def f():\n" + "    a = 1\n" * 60}, "f is 61 lines long"),
    ("lengths", "a new long file", {QUEUE: C + "\n" * 500}, "over 500"),
    ("format", "a line that clang-format would change", {QUEUE: C.replace("    return", "  return")}, "clang-format -i"),
    ("shell", "an unquoted variable", {"deploy.sh": "#!/bin/sh\necho $1\n"}, "SC2086"),
    ("headers", "a header that needs another", {"router/queue.h": "#pragma once\n\nint f(uint64_t a);\n"}, "uint64_t"),
    ("headers", "a header that can't come twice", {"router/queue.h": "struct queue {\n    int length;\n};\n"}, "redefinition"),
    ("readmes", "a folder without README", {"router/README.md": None}, "router/README.md: is missing"),
    ("readmes", "a folder that the map doesn't name", {"mgmt/a.txt": "x\n"}, "doesn't name mgmt/"),
    ("readmes", "a second-level folder likewise", {"dataplane/tcp/a.txt": "x\n"}, "doesn't name dataplane/tcp/"),
    ("readmes", "a folder of the map that is gone", {"README.md": README + "| `gone/` | x |\n"}, "doesn't exist"),
    ("tables", "a command that no router handles", {"router/router.c": '#include "router/command.h"\n'}, "no router handles"),
    ("tables", "a command that no front sends", {"dataplane/codec/codec.c": "/* COMMAND_STOP */\n"}, "no front sends"),
    ("tables", "a table that has moved", {"router/command.h": "#pragma once\n"}, "has no #define COMMANDS"),
]


def grow(root, files):
    for path, text in files.items():
        file = Path(root) / path
        if text is None:
            file.unlink()
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def problems_with(check, files):
    with tempfile.TemporaryDirectory() as root:
        grow(root, CLEAN)
        grow(root, files)
        return list(tidy.CHECKS[check](tidy.Tree(root)))


def ratchet_never_grows():
    """--record takes numbers down, never up, and adds nothing."""
    rows = "# None.\n60 router/queue.c long_one\n52 router/queue.c other\n51 router/queue.c gone\n"
    with tempfile.TemporaryDirectory() as root:
        grow(root, CLEAN)
        grow(root, {"router/queue.c": C + function(55) + function(58, "other") + function(70, "third"),
                    "tests/tidy/long_functions.txt": rows})
        tidy.record(tidy.Tree(root))
        now = (Path(root) / "tests/tidy/long_functions.txt").read_text(encoding="utf-8")
    return now == "# None.\n55 router/queue.c long_one\n52 router/queue.c other\n"


def main():
    tidy.rules.TABLES = COMMANDS_ONLY
    missing = {"format": not shutil.which("clang-format"), "shell": not shutil.which("shellcheck")}
    failures = 0
    for check in tidy.CHECKS:
        said = problems_with(check, {})
        if said:
            failures += 1
            print(f"{check}: the tidy tree is said not to be: {said}")
    if not ratchet_never_grows():
        failures += 1
        print("--record does not what it should")
    count = 0
    for check, what, files, expected in PLANTS:
        if missing.get(check):
            continue
        count += 1
        said = problems_with(check, files)
        if not any(expected in line for line in said):
            failures += 1
            print(f"{check}: {what}: '{expected}' expected, said: {said}")
    print(f"{count} plants, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
