"""Results: what was measured, as plain data and as files; what is doubtful about it."""
