"""The life of what runs in the background: its start, forks, the exit of the process, its close."""
