"""The commands, a file each: what they print, and the order in which they call the library."""
