"""How the shipped weights and tables were made, by what is trained, one resumable entry each.

All share the pictures of ``data``, the ``loop`` and the optimizer ``muon``; ``sedic.cli.train`` lists the entries.
"""
