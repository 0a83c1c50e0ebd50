// The values of a state: each number with its last values, and the one that is chosen.

const values = new Map(); // field name -> its last values, {time, number, text}
let epoch, version, chosen, told = 0, toldAt = 0;

function take(message, found) {
	const now = message.version?.text;
	if (message.epoch !== epoch) values.clear();
	else if (now !== undefined && now === version) return; // seen before
	epoch = message.epoch;
	version = now;
	for (const [name, {number, text}] of found) {
		if (!values.has(name)) {
			if (values.size === shownFields) continue;
			values.set(name, []);
		}
		const history = values.get(name);
		history.push({time: Date.now(), number, text});
		if (history.length > keptValues) history.shift();
	}
	if (!values.has(chosen)) chosen = values.has("total") ? "total" : values.keys().next().value;
	later();
	told ||= setTimeout(tell, toldAt + tellEvery - Date.now());
}

// tell speaks the value, and shows it in the tab, not more often than can be heard.
function tell() {
	told = 0;
	toldAt = Date.now();
	$("tell").textContent = chosen + " " + values.get(chosen).at(-1).text;
	entitle();
}

function drawValues() {
	const history = values.get(chosen), last = history.at(-1);
	let low = last, high = last;
	for (const v of history) {
		if (v.number < low.number) low = v;
		if (v.number > high.number) high = v;
	}
	$("shown").hidden = false;
	$("one").hidden = !values.has("total");
	$("text").placeholder = values.has("total") ? "Number to add" : "Message";
	$("field").textContent = chosen;
	put($("value"), "", last.text, unit && " " + unit);
	// No font in use has digits wider than .71 em.
	$("value").style.setProperty("--ems", .71 * last.text.length + .2 * (groupsOf(last.text).length - 1));
	put($("max"), "max ", high.text);
	put($("min"), "min ", low.text);
	if (version === undefined) say("changes", "");
	else put($("changes"), "", version, version === "1" ? " change" : " changes");
	const count = history.length === 1 ? "value" : history.length === keptValues ? `last ${keptValues} values` : history.length + " values";
	say("seen", `Curve, min and max: the ${count} that this tab has seen.`);
	$("times").textContent = history.length === 1 ? clock(last.time) : clock(history[0].time) + " – " + clock(last.time);
	$("curve").setAttribute("aria-label", `Curve of the ${count} that this tab has seen, from ${low.text} to ${high.text}`);
	drawCurve(history, low.number, high.number);
	drawFields();
}


function drawFields() {
	const box = $("fields"), names = [...values.keys()];
	box.hidden = names.length < 2;
	while (box.children.length > names.length) box.lastChild.remove();
	names.forEach((name, i) => {
		const button = box.children[i] || box.appendChild(document.createElement("button"));
		button.type = "button";
		put(button, name + " ", values.get(name).at(-1).text);
		button.setAttribute("aria-pressed", name === chosen);
		button.onclick = () => { chosen = name; later(); entitle(); };
	});
}
