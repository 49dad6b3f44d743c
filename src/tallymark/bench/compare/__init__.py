"""Comparing two results: statistics, and gates that fail."""
