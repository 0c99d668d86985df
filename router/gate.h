/*
 * The router's two alarms: its share of memory is short, or the disk under its journal is. While one is on,
 * the gate for what would make it worse is shut: fronts hold back publishes that would go through it, and
 * nothing else. Each router has its own. They are raised and cleared at different marks (store_pressed,
 * disk.free_margin), so that publishers don't stutter at one.
 *
 * Part of a router, on its thread.
 */
#pragma once

struct router;

/* Once a turn: tells the fronts, the log and the counters what has changed. */
void gate_look(struct router *router);
