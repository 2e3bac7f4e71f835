"""How many lines of a subway map join two stations?"""
