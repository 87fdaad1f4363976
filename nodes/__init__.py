"""ComfyUI's nodes: sockets, widgets, memory and progress. No algorithm lives here."""
