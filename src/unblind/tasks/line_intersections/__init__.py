"""How often do two bent lines cross?"""
