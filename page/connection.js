// The connection: it is made again when it is lost, and the state of it is shown.

const subprotocol = document.body.dataset.subprotocol; // empty if the app has none
const words = {
	1000: "The server closed the connection: it is done.",
	1001: "The server is going away.",
	1002: "The server met a protocol error.",
	1003: "The server does not take this kind of message.",
	1005: "The server closed the connection.",
	1006: "The connection was lost.",
	1007: "The server could not read the message.",
	1008: "The server refused a message or this client.",
	1009: "The message was too large.",
	1010: "The server lacks an extension.",
	1011: "The server met an error.",
	1012: "The server restarts.",
	1013: "The server is overloaded, or this client too slow.",
	1014: "A gateway got no answer from the server.",
	1015: "The TLS handshake failed.",
	3000: "The permission to be here has ended.",
};
const final = [1000, 1002, 1003, 1005, 1007, 1008, 1010, 3000]; // reconnecting unasked would not help
const leastDelay = {1012: 5e3, 1013: 15e3};

let socket = null, failures = 0, dueAt = 0, timer = 0;
let agreed = false;  // the subprotocol, once: it is then always offered
let unanswered = 0;  // sent to a state app, without its answer yet
let doubt = "";      // what is not known of messages from before the connection ended

function address() {
	const url = new URL(location.href);
	url.hash = "";
	url.protocol = url.protocol.replace("http", "ws");
	return url;
}

// A browser ends a connection whose server agreed to none of the subprotocols
// it was offered. So one that fails is tried again at once without them.
function connect(offer = subprotocol) {
	clearTimeout(timer);
	const s = socket = new WebSocket(address(), offer ? [offer] : []);
	let since = 0;
	s.binaryType = "arraybuffer";
	show("connecting", failures ? "Reconnecting" : "Connecting");
	timer = setTimeout(() => s.close(), connectLimit);
	s.onopen = () => {
		clearTimeout(timer);
		since = Date.now();
		agreed ||= s.protocol !== "";
		say("notice", doubt);
		show("live", "Live", "");
	};
	s.onmessage = event => receive(event.data, s.protocol);
	s.onclose = event => {
		clearTimeout(timer);
		if (!since && offer && !agreed) return connect("");
		if (since && Date.now() - since > steadyAfter) failures = 0;
		ended(event, since);
	};
}

function ended({code, reason}, opened) {
	let why = "The server cannot be reached, or refuses.";
	if (opened) {
		why = code + ": " + (words[code] || "The app closed the connection.");
		if (reason) why += " “" + reason + "”";
		giveUp();
	}
	if (opened && final.includes(code)) return show("closed", "Closed", why);
	const delay = Math.max(Math.min(firstDelay * 2 ** failures++, lastDelay), leastDelay[code] || 0);
	dueAt = Date.now() + delay * (0.5 + Math.random() / 2);
	show("waiting", "Reconnecting", why);
	wait();
}

// giveUp takes back what was said on the connection that has ended, and says which
// answers will not come.
function giveUp() {
	if (unanswered) doubt = `Sent and not answered, so counted or not: ${unanswered}.`;
	unanswered = 0;
	loseSent();
	say("notice", doubt);
}

function wait() {
	const left = dueAt - Date.now();
	if (left <= 0) return connect();
	$("left").textContent = "in " + Math.ceil(left / 1000) + " s";
	timer = setTimeout(wait, Math.min(left, 1000));
}

function disconnect() {
	clearTimeout(timer);
	socket.onopen = socket.onmessage = socket.onclose = null;
	socket.close(1000);
	failures = 0;
	giveUp();
	show("closed", "Closed", "You disconnected.");
}

function show(state, text, why) {
	document.body.dataset.state = state;
	say("state", text);
	if (why !== undefined) say("why", why);
	$("left").textContent = "";
	$("connect").textContent = state === "closed" ? "Connect" : state === "waiting" ? "Connect now" : "Disconnect";
	for (const id of ["send", "one"]) $(id).setAttribute("aria-disabled", state !== "live");
	entitle();
}

$("connect").onclick = () => {
	const {state} = document.body.dataset;
	if (state === "closed" || state === "waiting") connect(); else disconnect();
};
addEventListener("online", () => document.body.dataset.state === "waiting" && connect());
