"""The article's client: connect, send a count, print the total it gets, and go.

    python3 client.py <url> <count>
"""

import asyncio
import sys

import websockets


async def main(url, count):
    async with websockets.connect(url) as websocket:
        await websocket.send(count)
        print(await websocket.recv())


asyncio.run(main(*sys.argv[1:]))
