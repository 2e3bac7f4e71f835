"""How many rings, or pentagons, are there?"""
