"""What a backend would get from a source of metrics, what it would change of them, and whether it can be reached."""
