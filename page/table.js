// The state of any other app: a table of its fields as they are.

let rows = []; // [path, value]
let changedAt = 0;

// fieldsOf lists the fields of an object and of those in it, by their paths, without those
// that say where in the order it stands.
function fieldsOf(object, prefix = "", depth = 0, found = []) {
	for (const [name, v] of Object.entries(object)) {
		if (!prefix && ["type", "epoch", "version"].includes(name)) continue;
		if (found.length > shownFields) break;
		const deeper = v !== null && typeof v === "object" && !(v instanceof Decimal) && depth < 4 && Object.keys(v).length > 0;
		if (deeper) fieldsOf(v, prefix + name + " › ", depth + 1, found);
		else found.push([prefix + name, v]);
	}
	return found;
}

// textOf is a value as people read it.
function textOf(v) {
	if (v instanceof Decimal) return v.text;
	if (typeof v === "string") return cut(v);
	if (v === null || typeof v !== "object") return String(v);
	return Object.keys(v).length ? "…" : "none";
}

// coversTable reports whether a message has all fields that are shown.
function coversTable(message) {
	const names = new Set(Object.keys(message));
	return rows.length > 0 && rows.every(([path]) => names.has(path.split(" › ")[0]));
}

function takeTable(message) {
	rows = fieldsOf(message);
	changedAt = Date.now();
}

function drawTable() {
	const body = $("rowsof"), shown = rows.slice(0, shownFields);
	while (body.children.length > shown.length) body.lastChild.remove();
	shown.forEach(([path, v], i) => drawField(body.children[i] ?? newField(body), path, v));
	say("more", rows.length > shownFields ? `Only the first ${shownFields} fields are shown.` : "");
	say("changed", "Changed at " + clock(changedAt));
}

function newField(body) {
	const row = make(body, "tr");
	make(row, "th").scope = "row";
	make(row, "td");
	return row;
}

function drawField(row, path, v) {
	const [name, value] = row.children;
	if (name.textContent !== path) name.textContent = path;
	value.className = v instanceof Decimal ? "number" : "";
	if (v instanceof Decimal) return put(value, v.text);
	value.shown = undefined;
	if (value.textContent !== textOf(v)) value.textContent = textOf(v);
}
