/* gannet-bench: puts load on a broker (AMQP 0-9-1, MQTT, STOMP), checks every message and says how fast it
 * went. */
#include "buffer.h"
#include "options.h"
#include "report.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct options o;
    struct result *r = zalloc(1, sizeof *r);
    int status = 2;
    options_parse(&o, argc, argv);
    if (run_load(&o, r))
        fprintf(stderr, "gannet-bench: %s\n", r->why);
    else
        status = report_write(r) || !result_good(r) ? 1 : 0;
    options_free(&o);
    free(r);
    return status;
}
