"""Activations, flights, redemptions and reversals: state and decisions."""
