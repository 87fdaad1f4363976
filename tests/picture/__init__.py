"""Every kind of picture and mask that people have: read right, or told."""
