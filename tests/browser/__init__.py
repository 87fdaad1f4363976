"""The window: what a person sees in a real browser, on the classic canvas and in Nodes 2.0."""
