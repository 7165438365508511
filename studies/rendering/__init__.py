"""Rendering data sets (scripts/render_views.py): meshes or generated objects to posed pictures, folders to shards."""
