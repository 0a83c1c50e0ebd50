// A bar for each key, the worst first. Of up to a thousand only those are elements that
// can be seen, so that a change costs less than a frame.

const rowHeight = 40, spareRows = 4;

function drawKeys() {
	const all = keyLimits(), sought = $("find").value.trim().toLowerCase();
	const order = [...keys].map(([key, v]) => ({key, v, badness: badness(v, all)}))
		.sort((a, b) => b.badness - a.badness || (a.key < b.key ? -1 : 1));
	const found = sought ? order.filter(({key}) => key.toLowerCase().includes(sought)) : order;
	$("find").parentElement.hidden = keys.size < 12;
	const scale = scaleOf(order, all);
	drawWorst(order, all);
	drawLegend(all);
	$("rows").style.height = found.length * rowHeight + "px";
	const box = $("scroll"), first = Math.max(0, Math.floor(box.scrollTop / rowHeight) - spareRows);
	const visible = found.slice(first, Math.ceil((box.scrollTop + box.clientHeight) / rowHeight) + spareRows);
	while ($("rows").children.length > visible.length) $("rows").lastChild.remove();
	visible.forEach(({key, v}, i) => drawRow($("rows").children[i] ?? newRow(), key, v, first + i, found.length, scale, all));
	$("nokeys").hidden = found.length > 0;
	say("nokeys", keys.size ? "No key is called so." : "None yet.");
}

// scaleOf returns where on a bar a number is, from 0 to 1.
function scaleOf(order, limits) {
	let low = 0, high = 0;
	for (const {number} of [...order.map(({v}) => v), ...limits.map(({level}) => level)]) {
		low = Math.min(low, number);
		high = Math.max(high, number);
	}
	const part = number => high > low && isFinite(high - low) ? (number - low) / (high - low) : 0;
	return {part, zero: part(0)};
}

function newRow() {
	const row = make($("rows"), "li");
	make(row, "span", "", "key");
	make(row, "span", "", "track").ariaHidden = "true";
	make(row.children[1], "span", "", "bar");
	make(row, "span", "", "reading");
	make(row, "span", "", "flag");
	return row;
}

function drawRow(row, key, v, place, size, {part, zero}, limits) {
	const [name, track, reading, flag] = row.children, at = part(v.number);
	if (name.textContent !== key) name.textContent = name.title = key;
	put(reading, v.text);
	reading.title = withUnit(v.text, unit);
	track.firstChild.style.insetInlineStart = 100 * Math.min(zero, at) + "%";
	track.firstChild.style.width = 100 * Math.abs(at - zero) + "%";
	while (track.children.length > limits.length + 1) track.lastChild.remove();
	limits.forEach(({level}, i) => { (track.children[i + 1] ?? make(track, "span", "", "mark")).style.insetInlineStart = 100 * part(level.number) + "%"; });
	const wrong = new Set([...raisedFor(key), ...limits.filter(limit => beyond(v, limit)).map(({alert}) => alert)]);
	flag.textContent = [...wrong].join(", ");
	row.classList.toggle("wrong", wrong.size > 0);
	row.style.transform = `translateY(${place * rowHeight}px)`;
	row.ariaPosInSet = place + 1;
	row.ariaSetSize = size;
}

function drawWorst([worst], limits) {
	if (!worst) return say("worst", "");
	const word = !limits.length ? "Highest" : limits.some(limit => beyond(worst.v, limit)) ? "Worst" : "Closest to a limit";
	say("worst", `${word}: ${worst.key}, ${withUnit(spaced(worst.v.text), unit)}`);
}

function drawLegend(limits) {
	say("legend", limits.map(({alert, above, level}) => `${alert}: ${above ? "above" : "below"} ${withUnit(spaced(level.text), unit)}`).join(" · "));
}

$("scroll").onscroll = () => later();
$("find").oninput = () => { $("scroll").scrollTop = 0; later(); };
