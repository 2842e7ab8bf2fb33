"""Paired experiments: simulate, compare, report."""
