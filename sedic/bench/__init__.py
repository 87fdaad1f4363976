"""Measurements that anyone can repeat: ``python -m sedic.bench NAME …``; one file each."""
