/* What network.c makes and telemetry.c shows. */
#pragma once

#include "base/limits.h"
#include "network.h"

struct network {
    unsigned fronts;
    struct dpdk_port *port, *kernel;
    struct steer *steer;
    struct device *steered[FRONTS_MAX]; /* made by device_steer_new; NULL with one front */
    struct device *device[FRONTS_MAX];  /* the outermost of each front */
    struct stack *stack[FRONTS_MAX];
};
