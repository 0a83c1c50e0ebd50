// Sending: what is typed goes out as one message, in the form that the app takes.

let unanswered = 0; // sent as it was typed to an app with state, without its answer yet
let waiting = 0;    // sent under an id, without its answer yet
let doubts = 0;     // of which it is not known whether they have counted

function send(text) {
	doubts = 0;
	say("notice", "");
	if (!isLive()) {
		say("notice", "Not connected: nothing was sent.");
		return false;
	}
	if (chat) post(text);
	else if (kind === "total") sendOnce(text).catch(() => {});
	else {
		room.say(text);
		if (protocol) unanswered++; else noteSent(text);
	}
	return true;
}

// sendOnce sends what counts once, however often the connection is cut meanwhile.
async function sendOnce(value) {
	waiting++;
	try {
		return await room.send(value);
	} catch (error) {
		if (error.code === "read_only") readOnly();
		else if (isInDoubt(error)) doubts++;
		else say("notice", "Error: " + error.message);
		throw error;
	} finally {
		waiting--;
		if (doubts || !isLive()) sayDoubts();
	}
}

const isInDoubt = ({code}) => ["closed", "unknown", "may_have_counted"].includes(code);

// answered takes the answer to what was sent as it was typed.
function answered({error, code}) {
	unanswered = Math.max(0, unanswered - 1);
	if (code === "read_only") readOnly();
	else if (error) say("notice", "Error: " + error);
}

// sayDoubts says which answers will not come, and which are waited for.
function sayDoubts() {
	if (!isLive()) {
		doubts += unanswered;
		unanswered = 0;
	}
	const parts = [];
	if (doubts) parts.push(`Sent and not answered, so counted or not: ${doubts}.`);
	if (waiting && !isLive()) parts.push(`Not answered yet: ${waiting}. What is sent again counts once.`);
	say("notice", parts.join(" "));
}

// readOnly takes away what sends, and says why.
function readOnly() {
	for (const id of ["text", "send", "one"]) $(id).disabled = true;
	say("notice", "");
	say("reading", "You can read here, but not send.");
}

$("form").onsubmit = event => {
	event.preventDefault();
	if ($("text").disabled) return;
	if ($("text").value !== "" && send($("text").value)) $("text").value = "";
	$("text").focus();
};
$("one").onclick = () => send("1");
