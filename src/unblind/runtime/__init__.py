"""What every room uses: safe output folders, processes, progress, signals, memory."""
