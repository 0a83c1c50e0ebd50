// The curve of a value.

// drawCurve draws steps: a value holds until the next.
function drawCurve(history, low, high) {
	const start = history[0].time, time = history.at(-1).time - start || 1, span = high - low;
	const x = v => history.length === 1 ? 600 : ((v.time - start) / time * 600).toFixed(1);
	const y = v => span > 0 && isFinite(span) ? (95 - (v.number - low) / span * 90).toFixed(1) : 50;
	let line = "M0 " + y(history[0]);
	for (const v of history) line += `H${x(v)}V${y(v)}`;
	$("line").setAttribute("d", line);
	$("area").setAttribute("d", line + "H600V100H0Z");
	$("dot").setAttribute("d", `M600 ${y(history.at(-1))}h0`);
}
