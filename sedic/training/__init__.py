"""How the shipped weights and tables were made: one resumable entry each."""
