"""Comparison, statistics, tables and plots."""
