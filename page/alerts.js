// Alerts: those that are raised now, and a list of what has begun and ended, the newest
// first. Each is spoken.

const raised = new Map(); // alert -> the keys it is raised for; an empty one is the room, or not known
const seenAlerts = [];    // the last ids: after a reconnection an alert may be told again
let freshAlerts = [];     // not in the list yet

function takeAlert(message) {
	const id = [message.epoch, message.version?.text, message.number?.text].join("-");
	if (seenAlerts.includes(id)) return;
	seenAlerts.push(id);
	if (seenAlerts.length > keptAlerts) seenAlerts.shift();
	const name = String(message.alert), key = message.key === undefined ? "" : String(message.key);
	if (message.raised) raise(name, key); else end(name, key);
	freshAlerts.push({time: Date.now(), name, key, raised: message.raised === true, text: sentence(message)});
	if (freshAlerts.length > keptAlerts) freshAlerts.shift();
	later();
}

function raise(name, key) {
	const keys = raised.get(name) ?? new Set();
	if (key) keys.delete("");
	raised.set(name, keys.add(key));
}

function end(name, key) {
	raised.get(name)?.delete(key);
	if (!raised.get(name)?.size) raised.delete(name);
}

// takeRaised takes the names of all alerts that are raised in a state.
function takeRaised(names) {
	for (const name of [...raised.keys()]) if (!names.includes(name)) raised.delete(name);
	for (const name of names) if (!raised.has(name)) raise(String(name), "");
}

const raisedFor = key => [...raised].filter(([, keys]) => keys.has(key)).map(([name]) => name);

function sentence({message, alert, fold, value, threshold, key, raised, gone}) {
	if (message) return cut(String(message));
	const where = key === undefined ? "" : key + ": ";
	if (!raised) return where + alert + (gone ? ": no readings any more" : " has ended");
	return `${where}${alert}: ${fold} is ${withUnit(value?.text ?? "", unit)}, the limit ${threshold?.text ?? ""}`;
}

function drawAlerts() {
	const list = $("alertlist");
	for (const {time, raised, text} of freshAlerts) {
		const item = document.createElement("li");
		item.className = raised ? "raised" : "ended";
		make(item, "time", clock(time));
		make(item, "b", raised ? "Raised" : "Ended");
		make(item, "span", text);
		list.prepend(item);
	}
	if (freshAlerts.length) speak();
	freshAlerts = [];
	while (list.children.length > keptAlerts) list.lastChild.remove();
	$("noalerts").hidden = list.children.length > 0;
	drawRaised();
	$("alerts").hidden = kind !== "meter" || !(limits.length || raised.size || list.children.length);
}

// speak has a screen reader read the newest alerts.
function speak() {
	const newest = freshAlerts.slice(-3).map(({raised, text}) => (raised ? "Raised: " : "Ended: ") + text);
	if (freshAlerts.length > 3) newest.unshift(`${freshAlerts.length} alerts.`);
	$("spoken").textContent = newest.join(". ");
}

function drawRaised() {
	const chips = [...raised].map(([name, keys]) => {
		const named = [...keys].filter(key => key), shown = named.slice(0, 4).join(", ");
		return name + (shown && ": " + shown) + (named.length > 4 ? ` and ${named.length - 4} more` : "");
	});
	const text = chips.join("\n"), box = $("raised");
	if (box.shown === text) return;
	box.shown = text;
	box.replaceChildren();
	for (const chip of chips) make(box, "li", chip);
	$("calm").hidden = chips.length > 0;
	document.body.dataset.alarm = chips.length ? "raised" : "";
	entitle();
}
