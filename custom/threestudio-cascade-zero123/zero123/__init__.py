"""One Zero-1-to-3 model (Liu et al. 2023): network, pose token, sampler, weights files."""
