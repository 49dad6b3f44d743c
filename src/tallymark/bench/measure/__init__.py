"""Measures benchmarks: starts fresh processes, each of which runs one pass, and collects their answers."""
