"""Training and testing of the picture's relief (threestudio/relief): truth by ray casting, the trainer, scores."""
