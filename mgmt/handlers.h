/* The functions that answer the rows of api.def. */
#pragma once

#include "route.h"

/* health.c */
handler answer_alarms, answer_in_service;
/* metrics.c */
handler answer_metrics;
