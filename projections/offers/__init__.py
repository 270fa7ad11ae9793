"""Read models of offers."""
