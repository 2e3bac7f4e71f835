"""Do two circles touch? Do they overlap?"""
