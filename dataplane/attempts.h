/*
 * Failed logins by the address that they came from. Whoever has failed a few times waits before his next
 * password is looked at, the longer the more often; each minute makes good for one failure. A success makes
 * good for none: who guesses may have an account of his own.
 *
 * Owned by a front and used on its thread; bounded, and when it is full the address that hasn't failed for
 * the longest time is forgotten. An IPv6 address counts by its network, of 64 bits.
 */
#pragma once

#include <stdint.h>

struct attempts;

/* most_ns: the longest pause; 0: there are none. seed: a secret, so that nobody finds addresses that push
 * each other out. */
struct attempts *attempts_new(uint64_t most_ns, uint64_t seed);
void attempts_free(struct attempts *attempts);
/* When a login of that peer ("127.0.0.1:4711") may be looked at. If that is now_ns, it is to be: the next one
 * waits as if it had failed. */
uint64_t attempts_begin(struct attempts *attempts, const char *peer, uint64_t now_ns);
void attempts_failed(struct attempts *attempts, const char *peer, uint64_t now_ns);
