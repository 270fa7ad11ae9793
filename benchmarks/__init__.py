"""Benchmarks of the service. Each figure is compared with a baseline that was measured in the same run."""
