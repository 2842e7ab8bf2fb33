"""Learning from less than masks: what is guessed about pixels nobody labelled, and how it counts.

A guess is made anew for every training, has a source at every pixel and a weight below that of a
label, and is never stored among labels.
"""
