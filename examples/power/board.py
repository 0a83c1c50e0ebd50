"""A machine on a small board: a WebSocket client in the few lines that MicroPython has
room for. Like some libraries there it says that its origin is file://."""

import binascii
import json
import os
import random
import select
import socket
import struct
import sys
import time

NAME = "press-8"


def connect(address):
    host, port = address.split(":")
    s = socket.create_connection((host, int(port)))
    key = binascii.b2a_base64(os.urandom(16)).strip().decode()
    s.sendall((
        "GET /power HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: json\r\nOrigin: file://\r\n\r\n" % (address, key)
    ).encode())
    if b" 101 " not in read_line(s):
        raise OSError("the server does not want a WebSocket")
    while read_line(s):
        pass
    return s


def read(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            raise OSError("the server is gone")
        data += part
    return data


def read_line(s):
    line = b""
    while not line.endswith(b"\r\n"):
        line += read(s, 1)
    return line[:-2]


def send(s, opcode, payload):
    mask = os.urandom(4)
    head = bytes([0x80 | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    else:
        head += struct.pack("!BH", 0x80 | 126, len(payload))
    s.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))


def receive(s):
    first, n = read(s, 2)
    if n == 126:
        n, = struct.unpack("!H", read(s, 2))
    elif n == 127:
        n, = struct.unpack("!Q", read(s, 8))
    return first & 15, read(s, n)


def is_order(payload):
    message = json.loads(payload)
    return message["type"] == "event" and message["alert"] == "overload" and message["raised"]


def work(address):
    s = connect(address)
    power, due = 600.0, time.time()
    while True:
        if time.time() >= due:
            due += 0.2
            power += random.uniform(-30, 30) - (power - 600) / 10
            send(s, 1, json.dumps({"machine": NAME, "power": round(power, 1)}).encode())
        ready = select.select([s, sys.stdin], [], [], max(0, due - time.time()))[0]
        if sys.stdin in ready:
            sys.exit()  # the program that has started this one is gone
        if s not in ready:
            continue
        opcode, payload = receive(s)
        if opcode == 8:
            raise OSError("the server has closed the connection")
        if opcode == 9:
            send(s, 10, payload)
        if opcode == 1 and is_order(payload):
            power = 0.0


while True:
    try:
        work(sys.argv[1])
    except OSError:
        if select.select([sys.stdin], [], [], 1)[0]:
            sys.exit()
