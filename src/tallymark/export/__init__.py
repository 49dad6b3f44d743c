"""Exporters: pure functions from a snapshot to bytes."""
