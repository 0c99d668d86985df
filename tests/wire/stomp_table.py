#!/usr/bin/python3
"""Checks stomp.md as mqtt_table.py does mqtt5.md.

    stomp_table.py stomp.md stomp_*.stomp
"""
import stomp
from mqtt_table import check

STATEMENTS = 112

if __name__ == "__main__":
    check(r"[A-Z]+", stomp.VERSIONS, STATEMENTS)
