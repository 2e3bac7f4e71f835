"""How many squares lie in one another?"""
