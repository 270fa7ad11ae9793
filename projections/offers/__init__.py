"""Read models of offers, as of now and of any past position."""
