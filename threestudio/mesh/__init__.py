"""Triangle meshes: the surface stage that makes them, and what renders them differentiably."""
