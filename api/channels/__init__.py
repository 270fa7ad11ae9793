"""Channels through which offers arrive: batch, offers file, drop folder, single offers."""
