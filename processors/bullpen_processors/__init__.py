"""Processors: a payload in, a value and writes out; no queue, no cluster, no environment, no clock."""
