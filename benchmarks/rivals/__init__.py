"""What would somebody use instead? Written as one would, shortly, and without what slows it down needlessly."""
