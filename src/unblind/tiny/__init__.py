"""The embedded base: a small model of the PaliGemma 2 architecture, and how it was made."""
