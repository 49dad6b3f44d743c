"""Servers of others, over HTTP: their addresses, connections that end in time, and words for what goes wrong."""
