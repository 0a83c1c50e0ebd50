// The list of messages, the oldest first.

const shown = [];    // {text, time, who, name, from, version}, with an element if it is in the list
let unlisted = false; // some have no element
let atEnd = true;    // the newest message is in view: it stays so

$("log").onscroll = () => { atEnd = $("log").scrollHeight - $("log").scrollTop - $("log").clientHeight < 40; };
new ResizeObserver(scrollToEnd).observe($("log"));

function scrollToEnd() {
	if (atEnd) $("log").scrollTop = $("log").scrollHeight;
}

// list adds a text. who is "own" if it is one's own, "own lost" if it is not known whether
// anybody got it, "note" if it is a word of this page.
function list(text, {who = "", time = Date.now(), ...more} = {}) {
	const message = {text: cut(text), who, time, ...more};
	shown.push(message);
	while (shown.length > keptMessages) shown.shift().element?.remove();
	unlisted = true;
	later();
	return message;
}

// markOwn shows a message as one's own.
function markOwn(message) {
	if (message.who) return;
	message.who = "own";
	message.element?.remove();
	message.element = undefined;
	unlisted = true;
	later();
}

function drawMessages() {
	if (!unlisted) return;
	unlisted = false;
	shown.forEach((message, i) => {
		if (message.element) return;
		message.element = elementOf(message);
		$("messages").insertBefore(message.element, $("messages").children[i] ?? null);
	});
	$("none").hidden = true;
	scrollToEnd();
}

function elementOf({text, time, who, name}) {
	const item = document.createElement("li");
	item.className = who;
	const head = make(item, "p"), by = who === "own" ? "You" : who === "own lost" ? "You, perhaps not sent" : name;
	if (by !== undefined && who !== "note") make(head, "b", by);
	if (who !== "note") make(head, "time", when(time)).dateTime = new Date(time).toISOString();
	make(item, "span", text);
	return item;
}

// when is a time as people say it: with its day, if that is not today.
function when(time) {
	const isToday = new Date(Date.now()).toDateString() === new Date(time).toDateString();
	return isToday ? clock(time) : new Date(time).toLocaleString();
}
