"""How the embedded base is made: lessons, stages, and the checkpoints themselves."""
