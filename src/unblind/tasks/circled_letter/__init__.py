"""Which letter of a word is circled?"""
