"""Batches, offers files and merchant offers, validated into domain requests."""
