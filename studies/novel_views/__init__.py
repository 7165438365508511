"""Novel views of held-out objects: against the truth (the paper's Tables 1 and 3), and against each other."""
