// One's own messages among those of others, where all are texts. Nobody tells whose a text
// is: it is taken for one's own if it was just sent and comes back, alone or behind the words
// of a format.

const sent = []; // texts that have not come back yet, the oldest first
let returns = false; // this room sends one's own messages back

function noteSent(text) {
	if (answers) return list(text, {who: "own"});
	const message = {text, listed: false};
	sent.push(message);
	if (sent.length > keptMessages) sent.shift();
	setTimeout(() => stopWaiting(message), backWithin);
}

// stopWaiting lists a text that perhaps never comes back. If nothing ever has, it is not
// waited for any longer.
function stopWaiting(message) {
	if (!sent.includes(message)) return;
	listSent(message, "own");
	if (!returns) sent.splice(sent.indexOf(message), 1);
}

function listSent(message, who) {
	if (!message.listed) list(message.text, {who});
	message.listed = true;
}

// arrived lists a text, unless it is one's own that is listed already.
function arrived(text) {
	const i = sent.findIndex(message => text === message.text || text.endsWith(" " + message.text));
	if (i < 0) return list(text);
	returns = true;
	const [message] = sent.splice(i, 1);
	if (!message.listed) list(text, {who: "own"});
}

// loseSent lists what has not come back when the connection ends.
function loseSent() {
	for (const message of sent) listSent(message, "own lost");
	sent.length = 0;
}
