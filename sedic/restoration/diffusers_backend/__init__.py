"""Algorithm 1's protocols on diffusers' models: what the command line decodes with.

``denoiser`` keeps the protocols, ``schedules`` its noise levels; ``folder`` reads diffusers' layout, ``checkpoints``
single files.
"""
