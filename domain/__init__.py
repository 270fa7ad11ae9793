"""What may happen to an offer, and the record of what did."""
