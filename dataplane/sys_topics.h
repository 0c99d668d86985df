/*
 * MQTT's topics $SYS/broker/...: what the agents count, published from time to time with RETAIN, in every
 * virtual host, under the names that mosquitto gives them.
 */
#pragma once

#include <stdint.h>

struct gannetd;

/* Publishes them. started_ns: of the clock, when the broker was ready. Control thread. */
void sys_topics_publish(struct gannetd *gannetd, uint64_t started_ns);
