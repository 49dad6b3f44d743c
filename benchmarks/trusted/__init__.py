"""What is known of operations, and what others measure of them: trust.py sets the toolkit's figures beside it."""
