"""Results: what was measured, as plain data and as files, with warnings about what is doubtful."""
