"""A real ComfyUI without its window: a server to start, a client that queues graphs on any server, the demo."""
