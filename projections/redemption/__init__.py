"""Read models of redemption windows, redemptions and verdicts."""
