"""What is drawn and asked: words, fonts, and a folder for each task."""
