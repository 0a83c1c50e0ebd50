package blackbox

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Clients that nobody here wrote.

const peersConfig = `:PORT {
	websocket /echo echo
	websocket /sum sum
	websocket /deflate {
		app echo
		compression
	}
	websocket /takeover {
		app echo
		compression takeover
	}
}`

// run runs a program, which must succeed.
func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), env...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
}

const pythonClient = `
import asyncio, sys
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Deflate

messages = ["hello", "", b"\x00\xff" * 5000, "x" * 65536] + \
    ['{"type":"update","version":%d,"total":%d}' % (i, 7 * i) for i in range(50)] + \
    ["".join(chr(97 + i * i * j % 26) for i in range(3000)) for j in range(5)]

async def deflate(url):
    for bits in range(8, 16):
        for alone in False, True:
            offer = Deflate(
                server_max_window_bits=bits, server_no_context_takeover=alone, client_no_context_takeover=alone,
                client_max_window_bits=max(bits, 9), # zlib has no 8
            )
            for path in "/deflate", "/takeover":
                async with websockets.connect(url + path, compression=None, extensions=[offer]) as ws:
                    assert [e.name for e in ws.extensions] == ["permessage-deflate"], ws.extensions
                    for message in messages:
                        await ws.send(message)
                        assert await ws.recv() == message, (bits, alone, path, message[:100])
                    await ws.send(["in ", "three ", "fragments"])
                    assert await ws.recv() == "in three fragments"

async def main(url):
    await deflate(url)
    for path in "/echo", "/deflate", "/takeover":
        async with websockets.connect(url + path, max_size=None) as ws:
            if path != "/echo":
                assert [e.name for e in ws.extensions] == ["permessage-deflate"], ws.extensions
            for message in "hello", "", "\u00e4\u20ac\U0001f600", b"\x00\xff", b"", "x" * 65536, b"y" * 65536:
                await ws.send(message)
                assert await ws.recv() == message, message
            await ws.send(["in ", "three ", "fragments"])
            assert await ws.recv() == "in three fragments"
            await (await ws.ping(b"are you there"))
            await ws.close(4000, "bye")
            assert ws.close_code == 4000, ws.close_code

    async with websockets.connect(url + "/sum") as one, \
            websockets.connect(url + "/sum", subprotocols=["soap", "json"]) as other:
        assert other.subprotocol == "json"
        assert '"type":"state"' in await other.recv()
        await one.send("1")
        assert await one.recv() == "1"
        assert '"version":1,"total":1}' in await other.recv()
        await other.send('{"value":3}')
        assert await one.recv() == "4"

    async with websockets.connect(url + "/echo", max_size=None) as ws:
        await ws.send("x" * 65537)
        try:
            await ws.recv()
            assert False
        except websockets.ConnectionClosed as e:
            assert ws.close_code == 1009, e

asyncio.run(asyncio.wait_for(main(sys.argv[1]), 25))
`

// Debian's python3-websockets.
func TestPythonClient(t *testing.T) {
	python := need(t, "/usr/bin/python3", "python3")
	if exec.Command(python, "-c", "import websockets").Run() != nil {
		missing(t, "python3-websockets is not installed")
	}
	s := start(t, peersConfig)
	run(t, nil, python, "-c", pythonClient, "ws://"+s.address())
}

const nodeClient = `
const WebSocket = require('ws');
const assert = require('assert');
const url = process.argv[2];

// open connects, and returns a function that waits for the next message.
function open(path, ...more) {
  const ws = new WebSocket(url + path, ...more);
  const waiting = [], come = [];
  ws.on('message', (data, binary) => {
    const m = binary ? data : data.toString();
    waiting.length ? waiting.shift()(m) : come.push(m);
  });
  ws.next = () => new Promise(done => come.length ? done(come.shift()) : waiting.push(done));
  return new Promise((done, failed) => ws.on('open', () => done(ws)).on('error', failed));
}

async function deflate() {
  const messages = ['hello', '', 'x'.repeat(65536), Buffer.from('noise, noise').toString('base64').repeat(99)];
  for (let i = 0; i < 50; i++) messages.push(JSON.stringify({ type: 'update', version: i, total: 7 * i }));
  for (let bits = 8; bits <= 15; bits++) for (const alone of [false, true]) for (const path of ['/deflate', '/takeover']) {
    const ws = await open(path, { perMessageDeflate: {
      threshold: 0, serverMaxWindowBits: bits, clientMaxWindowBits: bits,
      ...(alone && { serverNoContextTakeover: true, clientNoContextTakeover: true }),
    } });
    assert.strictEqual(ws.extensions, 'permessage-deflate');
    for (const m of messages) ws.send(m);
    for (const m of messages) assert.strictEqual(await ws.next(), m);
    ws.close();
  }
}

async function main() {
  await deflate();
  for (const path of ['/echo', '/deflate', '/takeover']) {
    const ws = await open(path);
    assert.strictEqual(ws.extensions, path === '/echo' ? '' : 'permessage-deflate');
    for (const m of ['hello', '', '\u00e4\u20ac\u{1f600}', 'x'.repeat(65536)]) {
      ws.send(m);
      assert.strictEqual(await ws.next(), m);
    }
    ws.send(Buffer.from([0, 255]));
    assert.deepStrictEqual(await ws.next(), Buffer.from([0, 255]));
    ws.send('in ', { fin: false });
    ws.send('two', { fin: true });
    assert.strictEqual(await ws.next(), 'in two');
    ws.ping('are you there');
    await new Promise(done => ws.once('pong', done));
    ws.close(4000, 'bye');
    assert.strictEqual(await new Promise(done => ws.once('close', done)), 4000);
  }
  const one = await open('/sum'), other = await open('/sum', ['soap', 'json']);
  assert.strictEqual(other.protocol, 'json');
  assert.strictEqual(JSON.parse(await other.next()).type, 'state');
  one.send('1');
  assert.strictEqual(await one.next(), '1');
  assert.strictEqual(JSON.parse(await other.next()).total, 1);
  other.send(JSON.stringify({ value: 3 }));
  assert.strictEqual(await one.next(), '4');
  one.close();
  other.close();
}

main().catch(e => { console.error(e); process.exit(1); });
`

// The package ws of npm: Debian's node-ws, or as ../testdata/ws pins it.
func TestNodeClient(t *testing.T) {
	node, modules := need(t, "node"), nodeModules(t)
	s := start(t, peersConfig)
	file := filepath.Join(t.TempDir(), "client.js")
	if err := os.WriteFile(file, []byte(nodeClient), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, []string{"NODE_PATH=" + modules}, node, file, "ws://"+s.address())
}

// nodeModules is the folder in which Node finds ws.
func nodeModules(t *testing.T) string {
	t.Helper()
	const debian = "/usr/share/nodejs"
	if _, err := os.Stat(filepath.Join(debian, "ws")); err != nil {
		return install(t, "ws")
	}
	return debian
}

// install has npm install what a folder of ../testdata pins in a folder of the test's, and
// returns that of the modules.
func install(t *testing.T, folder string) string {
	t.Helper()
	npm, dir := need(t, "npm"), t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("../testdata", folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(npm, "ci", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	if output, err := command.CombinedOutput(); err != nil {
		missing(t, "npm does not install "+folder+": "+err.Error()+"\n"+string(output))
	}
	return filepath.Join(dir, "node_modules")
}
