"""Services that run in the background: how they start, survive forks, and close, at the latest when the process exits."""
