"""Uploads that are not runs yet: the place of each among those of its partner, and their removal."""
