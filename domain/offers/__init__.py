"""Offers: content, inline images, state and decisions."""
