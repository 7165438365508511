"""The picture and its cameras."""
