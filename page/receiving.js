// Receiving: what a message is decides what takes it.

function receive({type, detail, data}) {
	switch (type) {
	case "status":
		return showStatus();
	case "text":
		return takeText(detail);
	case "message":
		return takeMessage(detail);
	case "presence":
		return takePresence(detail);
	case "gap":
		return takeGap(detail);
	case "error": // those with an id are told to whoever sent it
		return detail.id === undefined && refused(detail);
	}
	take(JSON.parse(data, decimals));
}

function refused(error) {
	posted.shift(); // in a chat: that does not come back
	answered(error);
}

// take takes a message of an app with state, with all digits of its numbers.
function take(message) {
	switch (message.type) {
	case "state":
	case "update":
		return chat ? moveTo(message, false) : takeState(message);
	case "reply":
		if (message.id === undefined) answered(message);
		return chat || takeReply(message);
	case "event":
		return message.event === "alert" ? takeAlert(message) : list(readable(message));
	}
	list(readable(message));
}

function takeText(text) {
	if (typeof text !== "string") return list(hex(text));
	if (!protocol) return arrived(text);
	try { list(readable(JSON.parse(text, decimals))); } catch { list(text); }
}

// takeGap tells that something is missing before what comes next.
function takeGap(message) {
	const what = chat ? "messages" : "events";
	list(epoch !== undefined && epoch !== message.epoch
		? `This room has begun anew: ${what} from before are not kept.`
		: `Some ${what} are missing here: they are not kept any more.`, {who: "note"});
}

// readable is what an app says, one field a line.
function readable(message) {
	if (message === null || typeof message !== "object" || message instanceof Decimal) return textOf(message);
	return fieldsOf(message).map(([name, v]) => name + ": " + textOf(v)).join("\n");
}

function hex(buffer) {
	const head = Array.from(new Uint8Array(buffer, 0, Math.min(buffer.byteLength, 32)), b => b.toString(16).padStart(2, "0"));
	return `binary, ${buffer.byteLength} bytes: ${head.join(" ")}${buffer.byteLength > 32 ? " …" : ""}`;
}
