"""Merged checkpoints, cards and uploads."""
