"""Bodies of requests: how long they may take, and how much of them may wait."""
