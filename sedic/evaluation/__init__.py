"""What is measured of pictures, once: ``sedic evaluate``, and what ``python -m sedic.bench restoration`` is made of.

``metrics`` is the registry of figures and ``instruments`` the libraries behind it, ``protocols`` how papers prepare
their pictures, ``peers`` what they published; ``scenes`` and ``originals`` find pictures, ``variants`` restores them in
as many ways as are compared, ``kept`` keeps what came back, ``intervals`` says how sure a mean is; ``ablations`` are
the paper's, and ``report`` writes the page.
"""
