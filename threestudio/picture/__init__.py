"""A file to one view: read, cut out, framed."""
