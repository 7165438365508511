"""What the method makes of a model that knows the truth, and of one that is wrong in a known way.

    true_views.py    the object, rendered from any camera                     errors.py       the ways of being wrong
    autoencoder.py   linear latents at the published shape and scale          moments.py      the image encoder's place
    denoiser.py      the U-Net's place: answers what leads to the true view   teller.py       these as one Zero-1-to-3
    guidance.py      "truth-teller-guidance": all else is the method's own    launching.py    launch.py with it
    runs.py          one row of a table, kept as soon as it is made           tables.py       which rows; Markdown
    novel_views.py   what two tellers in cascade show, without a mesh         costs.py        seconds and bytes of it

No name of weights leads here: the guidance is registered only where this package's `guidance` is imported.
"""
