"""Allocations per operation, for any Python code."""
