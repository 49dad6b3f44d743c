"""Showing results and comparisons: reports as data, and tables, Markdown and HTML of them."""
