"""Read models of redemption windows and redemptions."""
