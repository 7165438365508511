"""Training Base-0123 and Refiner-0123: the rendered-views data set, the losses, EMA to Base (Sec. 3.4-3.5)."""
