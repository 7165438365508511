"""The elevation without training: views are predicted around the picture, and fitted under each candidate elevation."""

from studies.elevation.by_views import main

if __name__ == "__main__":
    main()
