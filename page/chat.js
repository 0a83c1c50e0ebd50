// A chat in the subprotocol json. The server says who has said what. Which of the
// connections is this tab's own it does not say: that is learnt from the first message of
// one's own, by its version, or in a room that keeps none by its text.

const mine = {connections: new Set(), user: undefined};
const posted = []; // what has not come back yet, the oldest first: {text}

function post(text) {
	const message = {text};
	posted.push(message);
	if (posted.length > keptMessages) posted.shift();
	sendOnce({data: text}).then(reply => confirm(message, reply?.version), error => lose(message, error));
	setTimeout(() => stopExpecting(message), backWithin);
}

// stopExpecting lists a text in a room that keeps none and perhaps leaves out the sender.
function stopExpecting(message) {
	if (epoch === undefined && !mine.connections.size) listPosted(message, "own");
}

// confirm takes the answer of a room that keeps messages. The message itself has come before,
// unless the room leaves out the sender.
function confirm(message, version) {
	if (version === undefined) return;
	const found = shown.findLast(other => other.version === version);
	if (!found) return listPosted(message, "own");
	forget(message);
	own(found);
}

function lose(message, error) {
	if (isInDoubt(error)) listPosted(message, "own lost"); else forget(message);
}

function listPosted(message, who) {
	if (forget(message)) list(message.text, {who});
}

// losePosted lists what has not come back when the connection ends, if the room keeps none:
// nothing is sent again.
function losePosted() {
	if (epoch === undefined) for (const message of [...posted]) listPosted(message, "own lost");
}

// forget reports whether a text was still waited for.
function forget(message) {
	const i = posted.indexOf(message);
	if (i >= 0) posted.splice(i, 1);
	return i >= 0;
}

function takeMessage({from, time, data, binary, version, epoch: life}) {
	if (life !== undefined) epoch = life;
	const text = binary === undefined ? String(data) : hex(bytesOf(binary));
	const returned = posted.find(other => other.text === text);
	const message = {from: from?.id, name: from?.user, version, time: Date.parse(time) || Date.now()};
	const known = isMine(message) || returned !== undefined && version === undefined;
	const listed = list(text, message);
	if (!known) return;
	if (returned) forget(returned);
	own(listed);
}

// own notes whose a message of one's own is, and marks all of them.
function own(message) {
	if (message.from !== undefined) mine.connections.add(message.from);
	mine.user ??= message.name;
	markOwn(message);
	shown.filter(isMine).forEach(markOwn);
}

const isMine = ({from, name}) => mine.connections.has(from) || name !== undefined && name === mine.user;

const bytesOf = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0)).buffer;
