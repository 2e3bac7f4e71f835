"""From answers to numbers. No torch."""
