"""One registry over many processes: the file, the memory, its families, what each process has. See `docs/processes.md`."""
