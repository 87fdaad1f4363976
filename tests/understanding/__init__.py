"""The encoder's eyes, tested against real servers on loopback and small random models of the true classes."""
