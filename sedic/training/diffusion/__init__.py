"""Trainings of the embedded models: autoencoder, then UNet, ControlNet and text encoder, then their finish."""
