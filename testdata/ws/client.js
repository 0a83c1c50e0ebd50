// The article's client with npm's ws: connect, send a count, print the total it
// gets, and go.
//
//	node client.js <url> <count>
const WebSocket = require('ws');

const [url, count] = process.argv.slice(2);
const socket = new WebSocket(url);
socket.on('open', () => socket.send(count));
socket.on('message', (data) => {
	console.log(data.toString());
	socket.close(1000);
});
socket.on('close', (code) => process.exit(code === 1000 ? 0 : 1));
socket.on('error', (err) => {
	console.error(err);
	process.exit(1);
});
