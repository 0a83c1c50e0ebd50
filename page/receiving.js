// Receiving: what a message is decides what takes it.

function receive(data, protocol) {
	if (typeof data !== "string") return list(hex(data));
	if (protocol !== "json") return arrived(data);
	let message;
	try { message = JSON.parse(data, decimals); } catch { return list(data); }
	switch (message?.type) {
	case "state":
	case "update":
		return takeState(message);
	case "reply":
		unanswered = Math.max(0, unanswered - 1);
		return takeReply(message);
	case "error":
		unanswered = Math.max(0, unanswered - 1);
		if (message.code === "read_only") readOnly();
		$("notice").textContent = "Error: " + message.error;
		return;
	case "event":
		return message.event === "alert" ? takeAlert(message) : list(readable(message));
	case "presence":
		return takeMembers(message.count);
	}
	list(readable(message));
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
