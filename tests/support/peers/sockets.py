"""Sockets that are connected with each other."""

from __future__ import annotations

import socket


def tcp_pair(receive_buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection over the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if receive_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    if receive_buffer is not None:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, receive_buffer)
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far
