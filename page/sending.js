// Sending: what is typed goes out as one message.

function send(text) {
	doubt = "";
	say("notice", "");
	if (socket.readyState !== WebSocket.OPEN) {
		$("notice").textContent = "Not connected: nothing was sent.";
		return false;
	}
	socket.send(text);
	if (hasState()) unanswered++; else noteSent(text);
	return true;
}

// readOnly takes away what sends, and says why.
function readOnly() {
	for (const id of ["text", "send", "one"]) $(id).disabled = true;
	$("text").value = "";
	$("text").placeholder = "Read only: you may not send here";
}

$("form").onsubmit = event => {
	event.preventDefault();
	if ($("text").disabled) return;
	if ($("text").value !== "" && send($("text").value)) $("text").value = "";
	$("text").focus();
};
$("one").onclick = () => send("1");
