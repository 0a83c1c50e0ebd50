// The list of messages.

let fresh = [];   // not in the list yet
let atEnd = true; // the newest message is in view: it stays so

$("log").onscroll = () => { atEnd = $("log").scrollHeight - $("log").scrollTop - $("log").clientHeight < 40; };
new ResizeObserver(scrollToEnd).observe($("log"));

function scrollToEnd() {
	if (atEnd) $("log").scrollTop = $("log").scrollHeight;
}

// list adds a text. who is "own" if it is one's own, "own lost" if it is not known whether
// anybody got it.
function list(text, who = "") {
	fresh.push({time: Date.now(), text: cut(text), who});
	if (fresh.length > keptMessages) fresh.shift();
	later();
}

function drawMessages() {
	const messages = $("messages");
	for (const {time, text, who} of fresh) {
		const item = make(messages, "li", "", who);
		const head = make(item, "p");
		if (who) make(head, "b", who === "own" ? "You" : "You, perhaps not sent");
		make(head, "time", clock(time));
		make(item, "span", text);
	}
	fresh = [];
	while (messages.children.length > keptMessages) messages.firstChild.remove();
	$("none").hidden = messages.children.length > 0;
	scrollToEnd();
}
