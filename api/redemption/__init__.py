"""Activations, redemptions, windows, verdicts and the partner feed."""
