"""Training and measuring what guesses a picture's elevation."""
