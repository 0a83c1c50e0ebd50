// Receiving: what a message is decides what shows it.

function receive(data, protocol) {
	if (typeof data !== "string") return list(hex(data));
	if (protocol !== "json") return list(data);
	let message;
	try { message = JSON.parse(data, decimals); } catch { return list(data); }
	const type = message?.type;
	if (type === "reply" || type === "error") unanswered = Math.max(0, unanswered - 1);
	if (type === "error") {
		$("notice").textContent = "Error: " + message.error;
		return;
	}
	const found = ["state", "reply", "update"].includes(type) ? numbersIn(message) : [];
	if (found.length) take(message, found); else list(data);
}

function numbersIn(object, prefix = "", depth = 0, found = []) {
	for (const [name, v] of Object.entries(object)) {
		if (found.length === shownFields) break;
		if (v instanceof Decimal) {
			if (prefix || name !== "version") found.push([prefix + name, v]);
		} else if (v && typeof v === "object" && depth < 3) {
			numbersIn(v, prefix + name + ".", depth + 1, found);
		}
	}
	return found;
}

function hex(buffer) {
	const head = Array.from(new Uint8Array(buffer, 0, Math.min(buffer.byteLength, 32)), b => b.toString(16).padStart(2, "0"));
	return `binary, ${buffer.byteLength} bytes: ${head.join(" ")}${buffer.byteLength > 32 ? " …" : ""}`;
}
