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

$("form").onsubmit = event => {
	event.preventDefault();
	if ($("text").value !== "" && send($("text").value)) $("text").value = "";
	$("text").focus();
};
$("one").onclick = () => send("1");
