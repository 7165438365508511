"""Systems: what is optimised, and by which losses."""
