"""A port of TCP that leads to a Unix socket, as ssh -L makes one."""
import contextlib
import socket
import socketserver
import threading


def copy(source, to):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.socket(socket.AF_UNIX) as far:
            far.connect(self.server.path)
            threading.Thread(target=copy, args=(far, self.request), daemon=True).start()
            copy(self.request, far)


class Tunnel:
    """at: its address and port."""

    def __init__(self, path):
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.path = path
        self.at = "127.0.0.1:%d" % self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
