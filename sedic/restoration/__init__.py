"""The decoder: Algorithm 1 of the paper and its parts.

``energy`` is Eq. 2, ``guidance`` Eq. 3, ``fusion`` Eq. 4, ``stages`` Algorithm 1 over the protocols of ``denoiser``.
``solvers`` are the steps between two noise levels; ``diffusers_backend`` runs it all on diffusers' models.

Latents follow x = x0 + σ·ε (variance exploding). A variance-preserving latent z of the paper is x / √(1 + σ²).
"""
