"""The operations of a registry: instruments, limits, lifecycle, snapshots."""
