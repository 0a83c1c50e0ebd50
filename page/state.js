// The state of an app: where in its order this tab is, and what shows it. A total and a
// meter have a view of their own, every other state is a table.

let epoch, version, kind = ""; // kind: "total", "meter", "table", or empty without a state
let whole = false;             // the version is known with all its fields

const hasState = () => kind !== "";

const kindOf = message => message.total instanceof Decimal ? "total" : isMeter(message) ? "meter" : "table";

function takeState(message) {
	if (!moveTo(message, true)) return;
	kind = kindOf(message);
	document.body.dataset.view = kind;
	if (kind === "total") takeValues([["total", message.total]]);
	else if (kind === "meter") takeMeter(message);
	else takeTable(message);
	later();
}

// takeReply takes the answer to one's own message, after which no update comes. Some apps
// answer with the whole state, others with a few fields of it or something else.
function takeReply(message) {
	if (message.repeat) return; // the state follows
	if (kind === "total" && message.total instanceof Decimal) return takeState(message);
	if (kind === "meter") {
		if (moveTo(message, false)) takeReading(message);
		return later();
	}
	if (kind === "table" && coversTable(message)) return takeState(message);
	moveTo(message, false);
	list(readable(message));
}

// moveTo goes on to the version of a message, and reports whether it is a new one. Another
// epoch begins anew.
function moveTo(message, all) {
	const now = message.version?.text;
	if (message.epoch !== epoch) {
		forgetValues();
		forgetMeter();
	} else if (now !== undefined && now === version && (whole || !all)) {
		return false; // seen before
	}
	noteChanges(epoch === message.epoch, version, now);
	epoch = message.epoch;
	version = now;
	whole = all;
	return true;
}
