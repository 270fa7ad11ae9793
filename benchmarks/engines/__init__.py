"""The databases that benchmarks run on."""
