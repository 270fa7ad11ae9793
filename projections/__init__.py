"""What is the case, and what was? One file per question."""
