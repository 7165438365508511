"""Objects made by people, from the Debian package sweethome3d-furniture (scripts/make_real_objects.py)."""
