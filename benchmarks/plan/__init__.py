"""What `make bench` measures, and what becomes of it: figures -> tables, criteria, charts -> terminal, pages."""
