"""Measuring: what runs in fresh processes, and what each of them is asked for."""
