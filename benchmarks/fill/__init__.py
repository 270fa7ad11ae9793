"""Creates the ledgers and the request bodies of benchmarks."""
