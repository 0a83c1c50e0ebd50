// Numbers over time: the last values of each, one of which is shown large, with its curve.

const values = new Map(); // name -> its last values, {time, number, text}
const gone = new Set();   // names that have no value at present
let chosen, told = 0, toldAt = 0;

// takeValues takes [name, Decimal or null] of each number.
function takeValues(found) {
	for (const [name, v] of found) {
		if (!values.has(name)) values.set(name, []);
		if (v instanceof Decimal) gone.delete(name); else { gone.add(name); continue; }
		const history = values.get(name);
		history.push({time: Date.now(), number: v.number, text: v.text});
		if (history.length > keptValues) history.shift();
	}
	if (!values.has(chosen)) chosen = favourite();
	told ||= setTimeout(tell, toldAt + tellEvery - Date.now());
}

// favourite is the number that is shown first.
function favourite() {
	const judged = limits.find(limit => values.has(limit.fold))?.fold;
	return judged ?? (values.has("max") ? "max" : values.keys().next().value);
}

function forgetValues() {
	values.clear();
	gone.clear();
}

const unitOf = name => name === "count" ? "" : unit;

// current is the value of a number as text, or a dash.
const current = name => gone.has(name) ? "–" : values.get(name)?.at(-1)?.text ?? "–";

// tell speaks a total, not more often than can be heard, and names the tab after the value.
// A meter changes all the time: of that the alerts are spoken.
function tell() {
	told = 0;
	toldAt = Date.now();
	if (kind === "total") $("tell").textContent = chosen + " " + withUnit(current(chosen), unit);
	entitle();
}

function drawValues() {
	const text = current(chosen), history = values.get(chosen), unit = unitOf(chosen);
	say("field", chosen);
	put($("value"), text);
	say("unit", unit);
	// No font in use has digits wider than .71 em. The unit is less than half as large.
	$("figure").style.setProperty("--ems", .71 * text.length + .2 * groupsOf(text).length + .3 * unit.length);
	$("value").tabIndex = text.length > 24 ? 0 : -1; // which may have to be scrolled
	$("one").hidden = kind !== "total";
	$("text").placeholder = kind === "total" ? "Number to add" : kind === "meter" ? "Reading, such as 812.5" : "Message";
	$("history").hidden = history.length === 0;
	if (history.length) drawHistory(history);
	drawFields();
}

function drawHistory(history) {
	let low = history[0], high = low;
	for (const v of history) {
		if (v.number < low.number) low = v;
		if (v.number > high.number) high = v;
	}
	put($("min"), low.text);
	put($("max"), high.text);
	const count = history.length === 1 ? "value" : history.length === keptValues ? `last ${keptValues} values` : history.length + " values";
	say("seen", `The ${count} that this tab has seen.`);
	$("curve").setAttribute("aria-label", `Curve of the ${count} that this tab has seen, from ${low.text} to ${high.text}`);
	drawCurve(history, low.number, high.number, limits.filter(limit => limit.fold === chosen && limit.shared));
}

// drawFields shows the numbers to choose from, if there are several.
function drawFields() {
	const box = $("fields"), names = [...values.keys()];
	box.hidden = names.length < 2;
	while (box.children.length > names.length) box.lastChild.remove();
	names.forEach((name, i) => {
		const button = box.children[i] ?? make(box, "button");
		if (!button.type || !button.children.length) {
			button.type = "button";
			make(button, "span", "", "label");
			make(button, "span");
		}
		button.children[0].textContent = name;
		put(button.children[1], current(name));
		button.setAttribute("aria-pressed", name === chosen);
		button.onclick = () => { chosen = name; later(); entitle(); };
	});
}
