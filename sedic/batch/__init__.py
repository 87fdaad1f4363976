"""Many pictures at once: folders on one machine, and clusters.

``plan`` finds the pictures and their outputs, ``encoding`` and ``decoding`` say what is done with one, ``workers`` are
the processes that do it, ``run`` hands them the pictures and writes what comes back, ``manifest`` remembers what is
done, so that a run that was ended continues.
"""
