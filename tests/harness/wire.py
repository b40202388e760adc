# SPDX-License-Identifier: Apache-2.0
"""wire.py - a client of the control socket for tests: one JSON object a line, descriptors on a request's first byte."""
import array
import json
import socket


class Refused(Exception):
    """An answer with an error; `error` is its object."""

    def __init__(self, error):
        super().__init__(error.get("message"))
        self.error = error


class Client:
    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.buffer = b""
        self.last_id = 0
        self.answers = {}
        self.pushes = []

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def send_bytes(self, data, fds=()):
        sent = 0
        if fds:
            sent = self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        self.socket.sendall(data[sent:])

    def send(self, method, params=None, fds=None):
        """Sends a request; fds is {role: descriptor}. Returns its id."""
        self.last_id += 1
        request = {"id": self.last_id, "method": method, "params": params or {}}
        if fds:
            request["fds"] = list(fds)
        self.send_bytes(json.dumps(request).encode() + b"\n", list(fds.values()) if fds else ())
        return self.last_id

    def line(self):
        """The next line, None at the end."""
        while b"\n" not in self.buffer:
            data = self.socket.recv(1 << 16)
            if not data:
                return None
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def read(self):
        """Reads one message and files it as an answer or a push; False at the end."""
        line = self.line()
        if line is None:
            return False
        message = json.loads(line)
        if "sub" in message:
            self.pushes.append(message)
        else:
            self.answers.setdefault(message["id"], []).append(message)
        return True

    def answer(self, request):
        """The result of a request; raises Refused for an error, EOFError if the daemon closes."""
        while request not in self.answers:
            if not self.read():
                raise EOFError("the daemon closed the connection")
        message = self.answers[request][0]
        if "error" in message:
            raise Refused(message["error"])
        return message["result"]

    def call(self, method, params=None, fds=None):
        return self.answer(self.send(method, params, fds))
