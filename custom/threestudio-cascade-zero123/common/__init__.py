"""What all parts of the extension use: errors, files, ranges of settings, random draws."""
