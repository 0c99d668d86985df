"""What tests/tidy holds the tree to, as data. A row is (what, why): whoever adds an exception adds its reason.

Patterns are those of fnmatch over a path from the root of the tree; '*' also matches '/'.
"""

# ---- (a) which file may include which: the first row whose files match is the one -------------------------------------

BASE = ("dataplane/base/*", "what every part uses, and that includes nothing of them")
ERRORS = [("router/errors.h", "what a peer can be told"), ("router/errors.def", "its rows")]
VOCABULARY = [("router/command.h", "what fronts and routers say to each other"), ("router/op.h", "its other half"), *ERRORS]
MESSAGE = ("router/message.h", "the layout of what is delivered from the page")

INCLUDES = [
    # (name of the part, its files, [(what it may include, why)])
    ("base", ["dataplane/base/*"], [BASE]),
    ("journal", ["journal/*"], [BASE, ("journal/*", "itself")]),
    ("the router's start", ["router/start.c"], [
        BASE, ("router/*", "itself"),
        ("journal/journal.h", "recovery"),
        ("journal/storage.h", "recovery reads a storage before there is a journal"),
    ]),
    ("router", ["router/*"], [
        BASE, ("router/*", "itself"),
        ("journal/journal.h", "the commands and events of its journal"),
        ("journal/record.h", "a log page holds records"),
    ]),
    ("tcp", ["dataplane/tcp/*"], [BASE, ("dataplane/tcp/*", "itself")]),
    ("transport", ["dataplane/transport/*"], [
        BASE, ("dataplane/transport/*", "itself"), ("dataplane/tcp/*", "our own TCP is a transport"),
    ]),
    ("codec", ["dataplane/codec/*"], [
        BASE, ("dataplane/codec/*", "itself"), *VOCABULARY, MESSAGE,
        ("router/table.h", "field tables: headers and arguments are kept as they come over the wire"),
        ("router/table_out.h", "writing them"),
        ("router/properties.h", "the form in which properties are kept, which is AMQP's"),
        ("router/access.h", "what may be done"),
        ("router/settings.def", "which arguments of a queue STOMP's headers can give"),
        ("router/exchange.h", "a session's subscriptions are matched by the index that topic exchanges have"),
    ]),
    ("front", ["dataplane/" + name for name in
               ("front.*", "front_inside.h", "host.c", "host_access.c", "host_limits.c", "login.*", "attempts.*", "events.c", "listing.c", "port.c", "output.*", "lent.*", "exchange_table.*")], [
        BASE, ("dataplane/transport/transport.h", "where its bytes come from"),
        ("dataplane/codec/*", "what its bytes mean"), *VOCABULARY, MESSAGE,
        ("router/access.h", "its replica"), ("router/password.h", "who may log in"), ("router/pattern.h", "topic permissions, for each connection"), ("router/properties.h", "whether a header delays a publish"),
        ("router/rows.h", "lists of its connections look like the routers'"), ("router/table_out.h", "a client's name is shown as a property"),
        ("dataplane/front*.h", "itself"), ("dataplane/transport/output.h", "itself"), ("dataplane/lent.h", "itself"), ("dataplane/login.h", "itself"), ("dataplane/attempts.h", "itself"),
        ("dataplane/transport/address.h", "whose logins have failed"),
        ("dataplane/exchange_table.h", "itself"),
    ]),
    ("main", ["dataplane/*"], [
        ("dataplane/*", "main puts all parts together"), ("router/router.h", "an agent"), ("router/access.h", "ids of virtual hosts"),
        ("router/access_change.h", "changes go to the registrar packed"), ("router/password.h", "what is kept of a password"),
        ("router/command.h", "it makes ops for the control socket"), ("router/op.h", "the same"), *ERRORS,
        ("router/table_out.h", "a policy's definition goes to the registrar as a table"),
        ("router/listing.h", "the columns of what routers list"), ("router/pinned.h", "the same"), ("router/rows.h", "how a cell is written"),
        ("journal/journal.h", "an agent"), ("journal/storage.h", "it picks one"), ("journal/storage_uring.h", "the one it picks"),
    ]),
    ("mgmt", ["mgmt/*"], [
        ("dataplane/base/shm.h", "the contract with the other process"), ("dataplane/base/histogram.h", "what is in it"), ("mgmt/*", "itself"),
        ("dataplane/attempts.h", "failed logins slow their address down here, too"),
        ("router/pattern.h", "what operators search names for costs no more than a policy's pattern may"),
        ("router/password.h", "whether a hash can be imported"), ("router/limits.h", "whether limits can be"),
        ("router/access_change.h", "how long patterns of permissions may be"),
        ("dataplane/base/check.h", "what is linked in checks itself by it"), ("dataplane/base/limits.h", "sizes of the journal's format"), ("dataplane/base/span.h", "bytes"),
        ("journal/*", "journal check reads by recovery itself, so that both say the same"),
        ("router/persist.h", "what the records of a journal say"), ("router/message.h", "the same"), ("router/rows.h", "as lists show it"),
        ("router/table.h", "the same"), ("router/properties.h", "the same"),
        ("dataplane/trace_format.h", "what a trace sends"), ("router/trace.h", "the same, of a queue"),
        ("dataplane/codec/amqp/methods.def", "names of methods that a trace has"),
        ("router/settings.h", "whether a queue's arguments can be"), ("router/arguments.h", "whether they are another declaration's"),
        ("router/exchange_type.h", "whether there is such a type"),
    ]),
    ("bench", ["bench/*"], [
        ("bench/*", "itself: it must be able to judge any broker"), BASE,
        ("dataplane/tcp/*", "the same stack on the client's side: --transport dpdk"),
        ("dataplane/transport/*", "its streams"),
    ]),
    ("tests", ["tests/*"], [
        (folder + "/*", "tests look at everything but the load generator")
        for folder in ("dataplane", "router", "journal", "mgmt", "tests")
    ]),
]

# What is simulated is included by its own folder and by tests, so that it can't get into the broker.
SIMULATED = ["*_sim.h", "*/sim_*.h"]

# ---- system headers: only in these files ------------------------------------------------------------------------------

SYSTEM = [
    # (header, [(file, why)])
    ("rte_*", [
        ("dataplane/base/ring.c", "the ring between two agents is DPDK's"),
        ("dataplane/tcp/device_dpdk.c", "the network card"),
        ("dataplane/tcp/dpdk_*", "starts DPDK, opens its ports, answers its telemetry"),
        ("tests/unit/test_device_dpdk.c", "two ports of its own"),
    ]),
    ("liburing.h", [
        ("*_uring.c", "the two real ends of the seams: sockets and files"),
        ("tests/unit/test_storage_short.c", "plays a kernel that writes less than it was asked to"),
    ]),
    ("openssl/*", [
        ("dataplane/transport/tls_certificate.c", "a certificate and its key"),
        ("dataplane/transport/tls_context.c", "certificates, versions, ciphers"),
        ("dataplane/transport/tls_name.c", "what stands in certificates"),
        ("dataplane/transport/tls_names.c", "which certificate is for which name"),
        ("dataplane/transport/tls_tickets.*", "what sessions are sealed with"),
        ("dataplane/transport/tls_expiry.c", "until when they are good"),
        ("dataplane/transport/tls_stream.c", "TLS itself, on buffers: OpenSSL does no I/O here"),
        ("dataplane/transport/ws_handshake.c", "SHA-1 and base 64 of WebSocket's handshake, which are nobody's to write again"),
        ("bench/tls.c", "the load under TLS"),
        ("tests/unit/tls_client.*", "the other end of TLS, and its certificates"),
        ("tests/unit/test_transport_tls*.c", "asks that end what came of it"),
        ("tests/fuzz/fuzz_tls.c", "makes that end do what no client does"),
    ]),
    ("sodium.h", [
        ("router/password.c", "hashes of passwords are nobody's to write again"),
        ("mgmt/basic.c", "base 64, and forgetting passwords"), ("mgmt/messages.c", "base 64"), ("mgmt/login.c", "keyed digests of passwords"),
        ("tests/fuzz/fuzz_control.c", "stands in for what takes long in it"),
    ]),
    ("wslay/*", [("dataplane/transport/ws_frame.c", "WebSocket's frames as they come")]),
    ("pcre2.h", [("router/pattern.c", "the patterns of policies and permissions")]),
    ("systemd/*", [("dataplane/gannetd.c", "tells systemd when it is ready"), ("mgmt/mgmtd.c", "the same")]),
    ("microhttpd.h", [("mgmt/http.c", "HTTP")]),
    ("gnutls/*", [("mgmt/certificate.*", "libmicrohttpd's TLS")]),
    ("jansson.h", [("mgmt/*", "the management plane speaks JSON"), ("bench/*", "--json")]),
    ("pthread.h", [
        ("dataplane/worker.c", "threads are composition"),
        ("dataplane/control.c", "the control socket blocks, so it has a thread of its own"),
        ("dataplane/base/log.c", "stderr may block, so it has a thread of its own"),
        ("dataplane/base/tally.c", "what users and virtual hosts have is made and forgotten under a lock: it is shared, and rare"),
        ("dataplane/tls.c", "a reload changes what the control thread reads"),
        ("journal/keeper.c", "files are made where blocking is allowed"),
        ("mgmt/login.c", "HTTP's threads know the same users"),
        ("mgmt/certificate.c", "a reload changes what HTTP's threads show"),
        ("bench/*", "a thread for each worker"),
        ("tests/*", "tries the above"),
    ]),
    ("stdatomic.h", [
        ("dataplane/front*", "a list for the control thread is handed over by one exchange"),
        ("dataplane/listing.c", "the same"),
        ("dataplane/worker.*", "asking threads to end; waking sleepers"),
        ("dataplane/control.c", "asking its thread to end"),
        ("dataplane/base/log.c", "any thread logs"),
        ("dataplane/transport/tls_inside.h", "a new context is handed over by one exchange"),
        ("dataplane/transport/transport_tls.c", "the same"),
        ("dataplane/transport/tls_context.c", "streams hold the context that they began with, the main thread the next"),
        ("dataplane/transport/tls_names.c", "all fronts have the same"),
        ("dataplane/base/tally.*", "a limit is one number for all fronts and routers"),
        ("dataplane/base/tap.c", "who is looked at never waits for who looks"),
        ("journal/keeper.c", "asking its thread to end"),
        ("bench/*", "its own"),
        ("tests/*", "its own"),
    ]),
]

# Parts that do no I/O: they may include nothing of the system but these.
PURE = [
    ("router/*", "it does no I/O: its disk is a ring away"),
    ("dataplane/codec/*", "it does no I/O, so that any bytes can be tried on it"),
    ("dataplane/tcp/*ip*.c", "frames come from a device: any frame can be tried on it"),
    ("dataplane/tcp/arp.c", "the same"), ("dataplane/tcp/nd.c", "the same"), ("dataplane/tcp/icmp*.c", "the same"),
    ("dataplane/tcp/neighbour.*", "tables and arithmetic"), ("dataplane/tcp/address.c", "texts"),
    ("dataplane/base/map.*", "tables and arithmetic"),
    ("dataplane/base/timer.*", "tables and arithmetic"),
]
PURE_HEADERS = {"assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h",
                "stdlib.h", "string.h"}
PURE_TOO = [
    ("router/password.c", "sodium.h", "hashes of passwords are nobody's to write again"),
    ("router/pattern.c", "pcre2.h", "patterns are nobody's to write again"),
    ("dataplane/tcp/address.c", "arpa/inet.h", "inet_pton, inet_ntop: they are nobody's to write again"),
]

# ---- (b), (c) calls: (names, what to do instead, [(file that may, why)]) --------------------------------------------

TRIES_REAL = [("tests/*", "tries real processes, sockets and disks")]
MEASURES = [("bench/*", "measures"), ("mgmt/*", "another process")]

CALLS = [
    ("clock_gettime clock gettimeofday time timespec_get ftime __rdtsc rte_rdtsc", "time is an argument (now_ns)",
     [("dataplane/main.c", "the only clocks"), *MEASURES, *TRIES_REAL]),
    ("rand random srand srandom drand48 lrand48 arc4random getrandom getentropy RAND_bytes", "chance is an argument (struct prng)",
     [("dataplane/main.c", "seeds the generators"),
      ("dataplane/transport/tls_tickets.c", "keys are OpenSSL's to draw, as those of the streams are"), *MEASURES, *TRIES_REAL]),
    ("sleep usleep nanosleep clock_nanosleep", "nobody waits by sleeping: a poll returns, a thread waits for an event",
     [("dataplane/gannetd.c", "the main thread at the end, while workers come to rest"),
      ("dataplane/listeners.c", "the main thread at the start, until a killed broker lets go of its address"),
      ("dataplane/control.c", "the control thread, while a front answers"), *MEASURES, *TRIES_REAL]),
    ("strcpy stpcpy strncpy", "memcpy of a known length, or snprintf", []),
    ("strcat strncat", "snprintf", []),
    ("sprintf vsprintf", "snprintf", []),
    ("gets", "getline", []),
    ("atoi atol atoll atof", "strtol and a look at where it stopped", []),
    ("alloca", "an array with a bound, or malloc", []),
    ("strtok", "strtok_r, strsep, or spans", []),
    ("assert", "CHECK, which stays on (static_assert for what the compiler can see)", []),
    ("abort", "CHECK", [("dataplane/base/check.c", "is CHECK"), ("tests/*", "nobody depends on them")]),
]

# Anywhere in a text: (what, instead).
WORDS = [
    (r"\bTODO\b", "an issue"),
    (r"\bFIXME\b", "mend it, or an issue"),
    (r"\bXXX\b", "say what is meant"),
    (r"\bHACK\b", "say what is meant"),
    (r"(?i)\bfor now\b", "say until when, or leave it away"),
]

# ---- (d) lengths ---------------------------------------------------------------------------------------------------

FUNCTION_LINES_MAX = 80   # never more
FUNCTION_LINES = 50       # more only if it is in long_functions.txt, where numbers only shrink
FILE_LINES = 500          # more only if it is in long_files.txt, likewise

# ---- (g) texts that name what is not ours to name ------------------------------------------------------------------

HOSTS = [
    (r"\b(?:registry\.npmjs|npmjs)\.(?:org|com)\b", "a package registry"),
    (r"\b(?:files\.pythonhosted|pypi)\.org\b", "a package registry"),
    (r"\b(?:\w+\.)?crates\.io\b", "a package registry"),
    (r"\b(?:deb|ftp|security)\.debian\.org\b", "a package archive"),
    (r"\barchive\.ubuntu\.com\b", "a package archive"),
    (r"\b(?:proxy\.golang|rubygems|repo\.maven\.apache)\.org\b", "a package registry"),
    (r"\b(?:docker|ghcr|quay|gcr)\.io\b", "an image registry"),
    (r"(?<![\w./])/work/", "a path of somebody's machine"),
]

# ---- (j) rows that must be used ------------------------------------------------------------------------------------

TABLES = [
    # (file, where in it the rows begin, and end, a row, [(what there must be for each row, in which files, else)])
    # In what there must be, {0} and {1} are the groups of the row.
    ("router/errors.def", r"\A", r"\Z", r"(?m)^X\((ERR_\w+),", [
        (r"\b{0}\b", ["router/*.c", "dataplane/*.c", "dataplane/*.def"], "nobody is ever told it"),
    ]),
    ("router/command.h", r"#define COMMANDS", r"\n\n", r"\bX\((\w+), \w+\)", [
        (r"\bcase COMMAND_{0}:", ["router/*.c"], "no router handles it"),
        (r"\bCOMMAND_{0}\b", ["dataplane/*.c"], "no front sends it"),
    ]),
    ("router/command.h", r"#define EVENTS", r"\n\n", r"\bX\((\w+), \w+\)", [
        (r"\bEVENT_{0}\b", ["dataplane/*.c"], "no front handles it"),
        (r"\bEVENT_{0}\b", ["router/*.c"], "no router sends it"),
    ]),
    ("router/op.h", r"enum op_kind", r"\n};", r"(?m)^    (OP_\w+)", [
        (r"\bcase {0}:", ["router/*.c"], "no router handles it"),
        (r"\b{0}\b", ["dataplane/*.c"], "no front asks for it"),
    ]),
    # A replay does nothing for these three: that they stand where they do says all.
    ("router/persist.h", r"enum router_record", r"\n};", r"(?m)^    (RECORD_(?!CHECKPOINT_END\b|CLEAN\b|STARTED\b)\w+)", [
        (r"\bcase {0}:", ["router/replay.c"], "no replay knows it"),
        (r"\b{0}\b", ["router/[!r]*.c"], "nobody writes it"),
    ]),
    ("journal/journal.h", r"enum journal_command_kind", r"\n};", r"(?m)^    (JOURNAL_\w+)", [
        (r"\bcase {0}:", ["journal/*.c"], "no journal handles it"),
        (r"\b{0}\b", ["router/*.c"], "no router sends it"),
    ]),
    ("journal/journal.h", r"enum journal_event_kind", r"\n};", r"(?m)^    (JOURNAL_\w+)", [
        (r"\bcase {0}:", ["router/*.c"], "no router handles it"),
        (r"\b{0}\b", ["journal/*.c"], "no journal sends it"),
    ]),
    ("dataplane/options.def", r"\A", r"\Z", r"(?m)^OPTION\((\w+),", [
        (r"[.>]{0}\b|struct config, {0}\)", ["dataplane/*.c", "dataplane/*.h"], "nothing depends on it"),
    ]),
    ("dataplane/stats.def", r"\A", r"\Z", r"(?m)^STAT\((\w+), (\w+),", [
        (r"\bstats(\.|->){1}\b", ["dataplane/*.c", "dataplane/tcp/*.c", "router/*.c", "journal/*.c"], "nobody counts it"),
    ]),
]
