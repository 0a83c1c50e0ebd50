#!/usr/bin/env python3
"""Adds a count to the running total of all clients and prints the new total."""

import asyncio
import sys

import websockets

URL = "ws://localhost:8181/sum"


async def add(count):
    async with websockets.connect(URL) as websocket:
        await websocket.send(count)
        print(await websocket.recv())


if len(sys.argv) != 2:
    sys.exit("usage: client.py COUNT")
asyncio.run(add(sys.argv[1]))
