"""Everyday sentences that a model has to get through, and what a translation of each must keep."""
