"""The metrics of a registry: instruments, limits, lifecycle, snapshots."""
