"""Datasets: made, stored, read, streamed."""
