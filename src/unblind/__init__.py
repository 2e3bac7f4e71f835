"""Unblind: cure a vision-language model of a known blindness."""
