// The list of messages.

let fresh = []; // not in the list yet

function list(text) {
	const more = text.length - shownLength;
	fresh.push({time: Date.now(), text: more > 0 ? text.slice(0, shownLength) + ` … (${more} more characters)` : text});
	if (fresh.length > keptMessages) fresh.shift();
	later();
}

function drawMessages() {
	const log = $("log"), messages = $("messages");
	const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
	for (const {time, text} of fresh) {
		const item = messages.appendChild(document.createElement("li"));
		item.appendChild(document.createElement("time")).textContent = clock(time);
		item.appendChild(document.createElement("span")).textContent = text;
	}
	fresh = [];
	while (messages.children.length > keptMessages) messages.firstChild.remove();
	$("none").hidden = messages.children.length > 0;
	if (atEnd) log.scrollTop = log.scrollHeight;
}
