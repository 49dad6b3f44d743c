"""Shows results and comparisons: reports as data, and then as tables, Markdown and HTML."""
