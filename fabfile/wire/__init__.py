"""Servers that are asked from here, as their users would ask them: HTTP, WebSocket, TCP."""
