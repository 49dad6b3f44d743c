"""Serves metrics over HTTP: the pages, and a server with a thread and sockets of its own."""
