"""The benchmark plan, which is what `make bench` runs: figures -> tables, criteria, charts -> terminal, pages.

"The Go original" is the Go metrics library that Tallymark grew from. The directory `document/` has the benchmarks of that
library's tag-map optimisation plan; `original/` has the figures of the library's own benchmarks.
"""
