"""How many rows and columns does a table have?"""
