// The curve of a number: steps, since a value holds until the next, with round numbers and
// times at its axes and a line for each limit.

const labelWidth = 7.5, axisBelow = 24, axisAbove = 14, right = 8; // in pixels

function drawCurve(history, low, high, limits) {
	const svg = $("curve"), width = svg.clientWidth, height = svg.clientHeight;
	if (!width || !height) return;
	for (const {level} of limits) {
		low = Math.min(low, level.number);
		high = Math.max(high, level.number);
	}
	const axis = axisOf(low, high, history.every(v => Number.isInteger(v.number)));
	const left = 8 + labelWidth * Math.max(1, ...axis.ticks.map(v => axis.text(v).length));
	const begin = history[0].time, end = history.at(-1).time;
	const x = time => end === begin ? width - right : left + (time - begin) / (end - begin) * (width - right - left);
	const y = v => isFinite(v) ? axisAbove + (axis.high - v) / (axis.high - axis.low) * (height - axisAbove - axisBelow) : height / 2;
	svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
	drawAxes(axis, {x, y, left, width, height, begin, end});
	drawLimits(limits, y, left, width);
	let line = `M${left} ${y(history[0].number).toFixed(1)}`;
	for (const v of history) line += `H${x(v.time).toFixed(1)}V${y(v.number).toFixed(1)}`;
	$("line").setAttribute("d", line);
	$("area").setAttribute("d", line + `V${height - axisBelow}H${left}Z`);
	$("dot").setAttribute("d", `M${width - right} ${y(history.at(-1).number).toFixed(1)}h0`);
}

function drawAxes(axis, {x, y, left, width, height, begin, end}) {
	const group = $("axes");
	group.replaceChildren();
	for (const v of axis.ticks) {
		draw1(group, "line", {x1: left, x2: width - right, y1: y(v), y2: y(v)});
		draw1(group, "text", {x: left - 8, y: y(v) + 4, "text-anchor": "end"}, axis.text(v));
	}
	const times = end === begin ? [[end, "end"]] : [[begin, "start"], [(begin + end) / 2, "middle"], [end, "end"]];
	for (const [time, anchor] of times) draw1(group, "text", {x: x(time), y: height - 4, "text-anchor": anchor}, clock(time));
}

function drawLimits(limits, y, left, width) {
	const group = $("limits");
	group.replaceChildren();
	for (const {alert, level} of limits) {
		draw1(group, "line", {x1: left, x2: width - right, y1: y(level.number), y2: y(level.number)});
		draw1(group, "text", {x: left + 6, y: y(level.number) - 5}, alert + " " + spaced(level.text));
	}
}

// draw1 adds an element to a drawing.
function draw1(parent, name, attributes, text = "") {
	const element = document.createElementNS(parent.namespaceURI, name);
	for (const [key, v] of Object.entries(attributes)) element.setAttribute(key, v);
	element.textContent = text;
	parent.append(element);
}

new ResizeObserver(() => later()).observe($("curve"));
