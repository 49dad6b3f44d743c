"""One registry over many processes: the file, its memory, families, and values of each process. See `docs/processes.md`."""
