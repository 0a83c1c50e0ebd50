// The connection: a room that comes back by itself. The state of it is shown.

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
};
const ended = "Your permission to be here has ended. Load the page again to ask for another.";
const states = {connecting: "Connecting", open: "Live", waiting: "Reconnecting", closed: "Closed"};

// The page takes all events of its room, whatever their type is.
class Visit extends Room {
	dispatchEvent(event) {
		if (room) receive(event);
		return super.dispatchEvent(event);
	}
}

let room = null; // while it is being made
room = new Visit(address(), {protocol});

function address() {
	const url = new URL(location.href);
	url.hash = "";
	return url;
}

const isLive = () => room.status === "open";

function showStatus() {
	const {status, reason} = room;
	document.body.dataset.state = status;
	say("state", status === "connecting" && reason ? states.waiting : states[status]);
	say("why", whyOf(reason));
	$("connect").textContent = status === "closed" ? "Connect" : status === "waiting" ? "Connect now" : "Disconnect";
	for (const id of ["send", "one"]) $(id).setAttribute("aria-disabled", !isLive());
	if (!isLive()) {
		loseSent();
		losePosted();
	}
	if (status !== "connecting") forgetPresent(); // a page that wakes up goes on to show them while it connects
	sayDoubts();
	entitle();
}

// whyOf returns in words why the last connection has ended.
function whyOf(reason) {
	const [, code, said] = /^(\d{4}) ?([^]*)$/.exec(reason) ?? [];
	if (code === "3000") return ended;
	if (code) return `${code}: ${words[code] ?? "The app closed the connection."}${said && ` “${said}”`}`;
	if (reason === "HTTP 401") return ended;
	if (reason.startsWith("HTTP")) return `The server refuses: ${reason}.`;
	if (room.status === "closed") return "You disconnected.";
	return reason && "The server cannot be reached, or refuses.";
}

$("connect").onclick = () => {
	if (room.status === "closed" || room.status === "waiting") room.connect(); else room.close();
};
